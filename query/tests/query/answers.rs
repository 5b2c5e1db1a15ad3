//! Queries that come along answer what is worked out by hand, and tables have every row and column.

use crate::store::fill;
use crate::{Place, Run};

fn filled(name: &str) -> Place {
    let place = Place::new(name);
    fill(&place);
    place
}

#[test]
fn operations_have_the_quantiles_of_all_their_minutes_and_hosts() {
    let place = filled("slow");
    // 1 ms three times, 2 ms once, 3 ms twice, 9 ms once: of 7 the fourth is the median.
    assert_eq!(
        place.named(&["slow-operations"]),
        "server_ip,server_port,protocol,operation,requests,answered,errors,p50_us,p99_us,max_us,all_us\n\
         10.0.0.1,6379,redis,GET,7,7,1,2000,9000,9000,20000\n\
         10.0.0.2,3306,mysql,,1,0,0,,,,\n"
    );
    assert_eq!(
        place
            .named(&[
                "slow-operations",
                "--until",
                "2026-11-22",
                "--server",
                "10.0.0.1:6379"
            ])
            .lines()
            .nth(1),
        Some("10.0.0.1,6379,redis,GET,6,6,1,1000,9000,9000,18000")
    );
    // The newest minute begins at midnight: a minute before its end there is nothing else.
    assert_eq!(
        place.named(&["slow-operations", "--since", "1m"]),
        "server_ip,server_port,protocol,operation,requests,answered,errors,p50_us,p99_us,max_us,all_us\n\
         10.0.0.1,6379,redis,GET,1,1,0,2000,2000,2000,2000\n"
    );
    let of_host = place.named(&["slow-operations", "--host", "db 2", "--limit", "1"]);
    assert_eq!(
        of_host.lines().nth(1),
        Some("10.0.0.2,3306,mysql,,1,0,0,,,,")
    );
}

#[test]
fn servers_have_requests_and_attempts_in_one_row() {
    let place = filled("servers");
    assert_eq!(
        place.named(&["top-servers"]),
        "server_ip,server_port,requests,errors,unanswered,p50_us,p99_us,attempts,failed,request_bytes,response_bytes\n\
         10.0.0.1,6379,7,1,0,2000,9000,5,1,70,700\n\
         10.0.0.2,3306,1,0,1,,,,,,\n"
    );
    assert_eq!(
        place.named(&["refused"]),
        "server_ip,server_port,attempts,failed,refused,silent,failed_percent,first,last\n\
         10.0.0.1,6379,5,1,1,0,20,2026-11-21T01:00:00.000000000Z,2026-11-21T01:00:00.000000000Z\n"
    );
    assert_eq!(
        place.named(&["connection-churn"]),
        "server_ip,server_port,established,ended,resets,requests,requests_per_connection,client_bytes,server_bytes\n\
         10.0.0.1,6379,4,4,0,7,1.75,70,700\n"
    );
    assert_eq!(
        place.named(&["retransmission-by-server"]),
        "server_ip,server_port,repeated_segments,data_segments,repeated_percent,syn_retransmits,zero_windows,mean_rtt_us\n\
         10.0.0.1,6379,3,100,3,2,0,150\n"
    );
    assert_eq!(
        place.named(&["time-budget"]),
        "server_ip,server_port,protocol,requests,in_client_us,in_queue_us,in_server_us,in_network_us,in_loss_us,in_window_us,\
         in_transfer_us\n\
         10.0.0.1,6379,redis,7,0,0,18500,1500,0,0,0\n"
    );
}

#[test]
fn what_goes_over_time_goes_by_minute_or_as_asked() {
    let place = filled("time");
    assert_eq!(
        place.named(&["latency-over-time", "--until", "2026-11-22"]),
        "time,server_ip,server_port,requests,p50_us,p99_us\n\
         2026-11-21T01:00:00.000000000Z,10.0.0.1,6379,4,1000,3000\n\
         2026-11-21T01:00:00.000000000Z,10.0.0.2,3306,1,,\n\
         2026-11-21T01:01:00.000000000Z,10.0.0.1,6379,2,3000,9000\n"
    );
    assert_eq!(
        place.named(&["latency-over-time", "--per", "day", "--limit", "1"]),
        "time,server_ip,server_port,requests,p50_us,p99_us\n\
         2026-11-21T00:00:00.000000000Z,10.0.0.1,6379,6,1000,9000\n\
         2026-11-22T00:00:00.000000000Z,10.0.0.1,6379,1,2000,2000\n"
    );
    assert_eq!(
        place.named(&["operations-over-time", "--per", "hour"]),
        "time,server_ip,server_port,protocol,operation,requests,errors,unanswered\n\
         2026-11-21T01:00:00.000000000Z,10.0.0.1,6379,redis,GET,6,1,0\n\
         2026-11-21T01:00:00.000000000Z,10.0.0.2,3306,mysql,,1,0,1\n\
         2026-11-22T00:00:00.000000000Z,10.0.0.1,6379,redis,GET,1,0,0\n"
    );
    assert_eq!(
        place.named(&["latency-heat"]),
        "time,from_us,requests\n\
         2026-11-21T01:00:00.000000000Z,1000,3\n\
         2026-11-21T01:00:00.000000000Z,2000,1\n\
         2026-11-21T01:01:00.000000000Z,2000,1\n\
         2026-11-21T01:01:00.000000000Z,5000,1\n\
         2026-11-22T00:00:00.000000000Z,2000,1\n"
    );
}

#[test]
fn single_records_are_found() {
    let place = filled("single");
    let slowest = place.named(&["slowest-requests", "--limit", "2"]);
    assert_eq!(
        slowest,
        "time,host,server_ip,server_port,protocol,operation,summary,status,total_us,process_us,verdict,client_ip,connection_id,\
         task\n\
         2026-11-21T01:00:01.123456789Z,web-1,10.0.0.1,6379,redis,GET,\"it's, \"\"odd\"\"\",ok,3000,3000,server,10.9.0.1,\
         18b9eb86b52c0315-00000007,1\n\
         2026-11-22T00:01:00.000000000Z,web-1,10.0.0.1,6379,redis,GET,\"it's, \"\"odd\"\"\",ok,2000,2000,server,10.9.0.1,\
         18ba369d33c41800-00000007,1\n"
            .replace("18b9eb86b52c0315", &id(&slowest, 1))
            .replace("18ba369d33c41800", &id(&slowest, 2))
    );
    assert_eq!(
        place.named(&["errors"]),
        "server_ip,server_port,protocol,operation,status,status_code,status_text,requests,clients,first,last\n\
         10.0.0.1,6379,redis,LPUSH,error,,WRONGTYPE,2,2,2026-11-21T01:00:02.123456789Z,2026-11-21T01:00:03.123456789Z\n\
         10.0.0.2,6379,redis,SET,unanswered,,,1,1,2026-11-21T01:00:05.123456789Z,2026-11-21T01:00:05.123456789Z\n"
    );
    assert_eq!(
        place.named(&["failed-handshakes"]),
        "server_ip,server_port,outcome,error,attempts,clients,syn_retransmits,longest_wait_us,first,last\n\
         10.0.0.1,6379,refused,ECONNREFUSED,2,2,2,50,2026-11-21T01:00:01.123456789Z,2026-11-21T01:00:02.123456789Z\n"
    );
    // A connection in parts counts once, as its last record tells.
    assert_eq!(
        place.named(&["lossy-peers"]),
        "peer_ip,connections,retransmits,data_segments,retransmit_percent,rtt_min_us,rtt_max_us\n\
         10.9.0.1,2,2,100,2,300,305\n"
    );
    assert_eq!(
        place.named(&["findings"]),
        "time,until,host,code,harm,suspect,server_ip,server_port,operation,metric,component,text\n\
         2026-11-21T01:00:00.000000000Z,,web-1,refused,1,server,,,,,,1 attempt was refused.\n"
    );
}

/// The id in a line of CSV: ids begin with the time of the first segment, in hex.
fn id(csv: &str, line: usize) -> String {
    let line = csv.lines().nth(line).unwrap();
    let id = line.rsplit(',').nth(1).unwrap();
    id.split('-').next().unwrap().to_owned()
}

#[test]
fn hosts_and_their_health_are_told() {
    let place = filled("hosts");
    assert_eq!(
        place.named(&["hosts"]),
        "host,first,last,rollups,servers,requests,attempts,connections,capture_losses\n\
         db 2,2026-11-21T01:00:00.000000000Z,2026-11-21T01:00:00.000000000Z,1,1,1,,,0\n\
         web-1,2026-11-21T01:00:00.000000000Z,2026-11-22T00:00:00.000000000Z,4,1,7,5,4,0\n"
    );
    assert_eq!(
        place.named(&["capture-health"]),
        "day,host,last,vantage,packets,kernel_events,connections,kernel_drops,event_drops,evicted_connections,stream_gaps,\
         cut_packets,late_segments,records_dropped,limit_hits,cpu_us,peak_rss_bytes\n\
         2026-11-21T00:00:00.000000000Z,web-1,2026-11-21T01:01:10.123456789Z,wire,90,,1,3,,0,0,0,0,,holes=2,1500,67108864\n"
    );
}

#[test]
fn every_query_that_comes_along_runs_and_is_drawn() {
    let place = filled("all");
    for named in tcplens_output::named::ALL {
        let text = place.answer(&["--named", named.name, "--plot", "yes"]);
        assert!(text.contains(" row"), "{}: {text}", named.name);
        let only = place.answer(&["--named", named.name, "--plot", "only", "--ascii"]);
        match named.plot {
            Some(_) => assert!(
                only.is_ascii() && only.contains('\n'),
                "{}: {only}",
                named.name
            ),
            None => assert!(only.contains(" row"), "{}", named.name),
        }
    }
}

#[test]
fn what_there_is_none_of_is_an_empty_table_with_all_columns() {
    let place = filled("empty");
    let sockets = place.csv("SELECT * FROM sockets");
    assert!(sockets.starts_with("host,time,"), "{sockets}");
    assert!(sockets.ends_with(",date\n"), "{sockets}");
    assert_eq!(
        place.csv("SELECT sum(rttvar_us) AS s, count(*) AS n FROM sockets"),
        "s,n\n,0\n"
    );
    assert_eq!(place.answer(&["SELECT host FROM sockets"]), "(no rows)\n");
}

#[test]
fn values_have_their_types() {
    let place = filled("types");
    assert_eq!(
        place.answer(&[
            "SELECT date, total_ns, total_counts FROM rollups WHERE errors > 0",
            "-f",
            "jsonl"
        ]),
        "{\"date\":\"2026-11-21\",\"total_ns\":[1000000,3000000],\"total_counts\":[3,1]}\n"
    );
    assert_eq!(
        place.answer(&[
            "SELECT limit_hits, kernel_drops, event_drops FROM health LIMIT 1",
            "-f",
            "jsonl"
        ]),
        "{\"limit_hits\":{\"holes\":2},\"kernel_drops\":3}\n"
    );
    assert_eq!(
        place.csv("SELECT DISTINCT arrow_typeof(total_us) AS t FROM requests"),
        "t\n\"Decimal128(18, 3)\"\n"
    );
    assert_eq!(
        place.csv("SELECT count(*) AS n, min(time) AS first, max(date) AS last FROM requests"),
        "n,first,last\n6,2026-11-21T01:00:00.123456789Z,2026-11-22\n"
    );
}

#[test]
fn every_format_has_every_row() {
    let place = filled("formats");
    let sql = "SELECT host, count(*) AS requests, sum(total_us) AS all_us FROM requests GROUP BY host ORDER BY host";
    assert_eq!(
        place.answer(&[sql]),
        "HOST   REQUESTS   ALL\ndb 2          1     -\nweb-1         5  6 ms\n(2 rows)\n"
    );
    assert_eq!(
        place.answer(&[sql, "-f", "jsonl"]),
        "{\"host\":\"db 2\",\"requests\":1}\n{\"host\":\"web-1\",\"requests\":5,\"all_us\":6000}\n"
    );
    assert_eq!(place.answer(&[sql, "-f", "none"]), "");
    assert_eq!(place.answer(&[sql, "-f", "csv", "-o", "out.csv"]), "");
    let csv = std::fs::read_to_string(place.path("out.csv")).unwrap();
    assert_eq!(csv, "host,requests,all_us\ndb 2,1,\nweb-1,5,6000\n");
    assert_eq!(
        place.answer(&[sql, "-f", "parquet", "-o", "out.parquet"]),
        ""
    );
    let file = std::fs::File::open(place.path("out.parquet")).unwrap();
    let reader = datafusion::parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let rows: Vec<String> = reader
        .into_iter()
        .map(|row| row.unwrap().to_string())
        .collect();
    assert_eq!(
        rows,
        [
            "{host: \"db 2\", requests: 1, all_us: null}",
            "{host: \"web-1\", requests: 5, all_us: 6000.000}"
        ]
    );
    assert!(!place.path("out.parquet.part").exists());
    let run = place.run(&[sql, "-f", "parquet"]);
    assert_eq!(
        (run.status, run.err.as_str()),
        (
            Some(2),
            "tcplens: a Parquet file is written to a file: name it with -o FILE\n"
        )
    );
}

#[test]
fn sql_comes_from_a_file_or_standard_input_and_may_be_several_statements() {
    let place = filled("input");
    std::fs::write(
        place.path("two.sql"),
        "SELECT 1 AS a; -- the first\nSELECT 2 AS b;\n",
    )
    .unwrap();
    assert_eq!(
        place.answer(&["-F", "two.sql", "-f", "csv"]),
        "a\n1\nb\n2\n"
    );
    assert_eq!(
        place.answer(&["-F", "two.sql"]),
        "A\n1\n(1 row)\n\nB\n2\n(1 row)\n"
    );
    let stdin = std::fs::File::open(place.path("two.sql")).unwrap();
    let run = Run::of(
        place
            .command(&["-", "-f", "csv"])
            .stdin(stdin)
            .output()
            .unwrap(),
    );
    assert_eq!((run.status, run.out.as_str()), (Some(0), "a\n1\nb\n2\n"));
}
