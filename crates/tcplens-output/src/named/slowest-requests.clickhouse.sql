-- Single requests by their whole time.
SELECT time, host, server_ip, server_port, protocol, operation, summary, status, total_us, process_us, verdict, client_ip,
       connection_id, task
FROM requests
WHERE total_us IS NOT NULL AND {where}
ORDER BY total_us DESC, time, host, connection_id, task
LIMIT {limit}
