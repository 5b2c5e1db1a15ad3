-- Requests and errors by time and operation; of the operations with most requests.
WITH chosen AS (
    SELECT date_trunc('{per}', CAST(time AS TIMESTAMP WITH TIME ZONE)) AS time, server_ip, server_port, protocol, operation, requests, errors, unanswered
    FROM rollups
    WHERE protocol IS NOT NULL AND {where}
), busiest AS (
    SELECT server_ip, server_port, protocol, operation, sum(requests) AS requests
    FROM chosen
    GROUP BY server_ip, server_port, protocol, operation
    ORDER BY requests DESC, server_ip NULLS LAST, server_port NULLS LAST, protocol, operation NULLS LAST
    LIMIT {limit}
)
SELECT c.time, c.server_ip, c.server_port, c.protocol, c.operation, sum(c.requests) AS requests, sum(c.errors) AS errors,
       sum(c.unanswered) AS unanswered
FROM chosen AS c
JOIN busiest AS b
    ON b.server_ip IS NOT DISTINCT FROM c.server_ip AND b.server_port IS NOT DISTINCT FROM c.server_port
    AND b.protocol IS NOT DISTINCT FROM c.protocol AND b.operation IS NOT DISTINCT FROM c.operation
GROUP BY c.time, c.server_ip, c.server_port, c.protocol, c.operation
ORDER BY c.time, c.server_ip NULLS LAST, c.server_port NULLS LAST, c.protocol, c.operation NULLS LAST
