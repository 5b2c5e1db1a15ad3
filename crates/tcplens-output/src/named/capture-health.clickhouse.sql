-- Counters go on from when a run began: so the last record of a day has all of its run until then.
SELECT intDiv(time, 86400000000000) * 86400000000000 AS day, host, time AS last, vantage, packets, kernel_events, connections,
       kernel_drops, event_drops, evicted_connections, stream_gaps, cut_packets, late_segments,
       arrayMap((k, v) -> (k, v), records_dropped.key, records_dropped.value) AS records_dropped,
       arrayMap((k, v) -> (k, v), limit_hits.key, limit_hits.value) AS limit_hits, cpu_us, peak_rss_bytes
FROM (
    SELECT *
    FROM health
    WHERE time IS NOT NULL AND {where}
    ORDER BY time DESC, packets DESC, cpu_us DESC
    LIMIT 1 BY host, intDiv(time, 86400000000000)
)
ORDER BY day, host
