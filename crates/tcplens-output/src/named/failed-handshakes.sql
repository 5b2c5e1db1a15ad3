-- Attempts to connect that failed; those that were too young to tell (no repeat, no second of waiting) are not among them.
SELECT server_ip, server_port, outcome, error, count(*) AS attempts, count(DISTINCT client_ip) AS clients,
       sum(syn_retransmits) AS syn_retransmits, max(wait_us) AS longest_wait_us, min(time) AS first, max(time) AS last
FROM handshakes
WHERE (outcome IN ('refused', 'unreachable', 'timed_out', 'aborted', 'reset')
       OR outcome IN ('unanswered', 'unacknowledged') AND (COALESCE(syn_retransmits, 0) > 0 OR COALESCE(wait_us, 0) >= 1000000))
      AND {where}
GROUP BY server_ip, server_port, outcome, error
ORDER BY attempts DESC, server_ip, server_port, outcome, error NULLS LAST
LIMIT {limit}
