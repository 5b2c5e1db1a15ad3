-- Requests that went wrong: answered with an error, or owed an answer that never ended (and would have been seen).
SELECT server_ip, server_port, protocol, operation, status, status_code, status_text, count() AS requests,
       uniqExact(client_ip) AS clients, min(time) AS first, max(time) AS last
FROM requests
WHERE (status = 'error'
       OR status = 'unanswered' AND ended_by NOT IN ('observation', 'gap') AND NOT ifNull(capture_loss, 0))
      AND {where}
GROUP BY server_ip, server_port, protocol, operation, status, status_code, status_text
ORDER BY requests DESC, server_ip, server_port, protocol, operation NULLS LAST, status, status_code NULLS LAST,
         status_text NULLS LAST
LIMIT {limit}
