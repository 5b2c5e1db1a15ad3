-- Requests and errors by time and operation; of the operations with most requests.
SELECT moment AS time, server_ip, server_port, protocol, operation, n AS requests, e AS errors, u AS unanswered
FROM (
    SELECT intDiv(time, {per_ns}) * {per_ns} AS moment, server_ip, server_port, protocol, operation, sum(requests) AS n,
           sum(errors) AS e, sum(unanswered) AS u
    FROM rollups
    WHERE protocol IS NOT NULL AND {where}
        AND (ifNull(toString(server_ip), ''), ifNull(server_port, -1), assumeNotNull(toString(protocol)), operation IS NULL,
             ifNull(toString(operation), '')) GLOBAL IN (
            SELECT ifNull(toString(server_ip), ''), ifNull(server_port, -1), assumeNotNull(toString(protocol)),
                   operation IS NULL, ifNull(toString(operation), '')
            FROM rollups
            WHERE protocol IS NOT NULL AND {where}
            GROUP BY server_ip, server_port, protocol, operation
            ORDER BY sum(requests) DESC, server_ip NULLS LAST, server_port NULLS LAST, protocol, operation NULLS LAST
            LIMIT {limit}
        )
    GROUP BY moment, server_ip, server_port, protocol, operation
)
ORDER BY moment, server_ip NULLS LAST, server_port NULLS LAST, protocol, operation NULLS LAST
