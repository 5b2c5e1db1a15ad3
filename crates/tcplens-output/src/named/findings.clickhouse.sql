-- What is wrong, as it was written.
SELECT time, until, host, code, harm, suspect, server_ip, server_port, operation, metric, component, text
FROM findings
WHERE {where}
ORDER BY time DESC NULLS LAST, host, "rank", code, server_ip NULLS LAST, server_port NULLS LAST, operation NULLS LAST,
         metric NULLS LAST, text NULLS LAST
LIMIT {limit}
