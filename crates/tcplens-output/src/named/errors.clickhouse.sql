-- Requests that went wrong: answered with an error, or owed an answer that never ended.
SELECT server_ip, server_port, protocol, operation, status, status_code, status_text, count() AS requests,
       uniqExact(client_ip) AS clients, min(time) AS first, max(time) AS last
FROM requests
WHERE status IN ('error', 'unanswered') AND {where}
GROUP BY server_ip, server_port, protocol, operation, status, status_code, status_text
ORDER BY requests DESC, server_ip, server_port, protocol, operation NULLS LAST, status, status_code NULLS LAST,
         status_text NULLS LAST
LIMIT {limit}
