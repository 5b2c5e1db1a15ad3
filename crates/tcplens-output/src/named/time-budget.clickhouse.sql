-- Sums of the time budgets of requests that have one.
SELECT server_ip, server_port, protocol, n AS requests, c AS in_client_us, q AS in_queue_us, s AS in_server_us,
       p AS in_network_us, l AS in_loss_us, w AS in_window_us, t AS in_transfer_us
FROM (
    SELECT server_ip, server_port, protocol, sum(budgets) AS n, sum(in_client_sum_us) AS c, sum(in_queue_sum_us) AS q,
           sum(in_server_sum_us) AS s, sum(in_network_sum_us) AS p, sum(in_loss_sum_us) AS l, sum(in_window_sum_us) AS w,
           sum(in_transfer_sum_us) AS t
    FROM rollups
    WHERE budgets > 0 AND {where}
    GROUP BY server_ip, server_port, protocol
)
ORDER BY c + q + s + p + l + w + t DESC NULLS LAST, server_ip NULLS LAST, server_port NULLS LAST, protocol
LIMIT {limit}
