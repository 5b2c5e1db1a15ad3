-- Sums of the time budgets of requests that have one.
SELECT server_ip, server_port, protocol, sum(budgets) AS requests,
       sum(in_client_sum_us) AS in_client_us, sum(in_queue_sum_us) AS in_queue_us, sum(in_server_sum_us) AS in_server_us,
       sum(in_network_sum_us) AS in_network_us, sum(in_loss_sum_us) AS in_loss_us, sum(in_window_sum_us) AS in_window_us,
       sum(in_transfer_sum_us) AS in_transfer_us
FROM rollups
WHERE budgets > 0 AND {where}
GROUP BY server_ip, server_port, protocol
ORDER BY sum(in_client_sum_us) + sum(in_queue_sum_us) + sum(in_server_sum_us) + sum(in_network_sum_us)
         + sum(in_loss_sum_us) + sum(in_window_sum_us) + sum(in_transfer_sum_us) DESC NULLS LAST,
         server_ip NULLS LAST, server_port NULLS LAST, protocol
LIMIT {limit}
