-- Counters go on from when a run began: so the last record of a day has all of its run until then.
WITH dated AS (
    SELECT date_trunc('day', CAST(time AS TIMESTAMP WITH TIME ZONE)) AS day, *
    FROM health
    WHERE time IS NOT NULL AND {where}
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY host, day ORDER BY time DESC, packets DESC, cpu_us DESC NULLS LAST) AS nth
    FROM dated
)
SELECT day, host, time AS last, vantage, packets, kernel_events, connections, kernel_drops, event_drops, evicted_connections,
       stream_gaps, cut_packets, late_segments, records_dropped, limit_hits, cpu_us, peak_rss_bytes
FROM numbered
WHERE nth = 1
ORDER BY day, host
