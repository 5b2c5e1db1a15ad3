-- Attempts to connect that failed; those that were too young to tell (no repeat, no second of waiting) are not among them.
SELECT server_ip, server_port, outcome, error, attempts, clients, repeated AS syn_retransmits, longest_wait_us, first, last
FROM (
    SELECT server_ip, server_port, outcome, error, count() AS attempts, uniqExact(client_ip) AS clients,
           sum(syn_retransmits) AS repeated, max(wait_us) AS longest_wait_us, min(time) AS first, max(time) AS last
    FROM handshakes
    WHERE (outcome IN ('refused', 'unreachable', 'timed_out', 'aborted', 'reset')
           OR outcome IN ('unanswered', 'unacknowledged') AND (ifNull(syn_retransmits > 0, 0) OR ifNull(wait_us >= 1000000, 0)))
          AND {where}
    GROUP BY server_ip, server_port, outcome, error
)
ORDER BY attempts DESC, server_ip, server_port, outcome, error NULLS LAST
LIMIT {limit}
