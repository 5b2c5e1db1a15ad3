use tcplens_core::time::{SECOND, Timestamp};

use super::*;

const START: i64 = 1_795_223_280 * SECOND;

fn printed(columns: &[Column], rows: &[Vec<Value>], settings: Settings) -> String {
    let mut printer = Printer::new(columns.to_vec(), settings);
    for row in rows {
        printer.push(row);
    }
    printer.finish();
    String::from_utf8(printer.bytes().to_vec()).unwrap()
}

fn of(format: Format) -> Settings {
    Settings {
        format,
        ..Settings::default()
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn everything() -> (Vec<Column>, Vec<Vec<Value>>) {
    let columns = vec![
        Column::new("time", Kind::Time),
        Column::new("server_ip", Kind::Text),
        Column::new("server_port", Kind::Number),
        Column::new("p99_us", Kind::Number),
        Column::new("share", Kind::Number),
        Column::new("is_it", Kind::Flag),
        Column::new("list", Kind::List),
        Column::new("a \"name\", odd", Kind::List),
    ];
    let full = vec![
        Value::Time(Timestamp(START)),
        text("10.0.0.1"),
        Value::Integer(6379),
        Value::Decimal {
            unscaled: 3_217_480,
            scale: 3,
        },
        Value::Float(0.25),
        Value::Flag(true),
        Value::List(vec![Value::Integer(1), Value::Absent, Value::Integer(3)]),
        Value::Map(vec![("syn".to_owned(), Value::Integer(2))]),
    ];
    let empty = vec![
        Value::Absent,
        text(""),
        Value::Integer(0),
        Value::Absent,
        Value::Float(f64::NAN),
        Value::Absent,
        Value::List(Vec::new()),
        Value::Absent,
    ];
    (columns, vec![full, empty])
}

#[test]
fn json_leaves_out_what_is_absent() {
    let (columns, rows) = everything();
    assert_eq!(
        printed(&columns, &rows, of(Format::Jsonl)),
        "{\"time\":\"2026-11-21T01:08:00.000000000Z\",\"server_ip\":\"10.0.0.1\",\"server_port\":6379,\"p99_us\":3217.48,\
         \"share\":0.25,\"is_it\":true,\"list\":[1,null,3],\"a \\\"name\\\", odd\":{\"syn\":2}}\n\
         {\"server_ip\":\"\",\"server_port\":0}\n"
    );
}

#[test]
fn csv_has_names_and_nothing_for_what_is_absent() {
    let (columns, rows) = everything();
    assert_eq!(
        printed(&columns, &rows, of(Format::Csv)),
        "time,server_ip,server_port,p99_us,share,is_it,list,\"a \"\"name\"\", odd\"\n\
         2026-11-21T01:08:00.000000000Z,10.0.0.1,6379,3217.48,0.25,true,1;;3,syn=2\n\
         ,\"\",0,,,,,\n"
    );
    assert_eq!(printed(&columns, &rows, of(Format::None)), "");
}

#[test]
fn text_is_aligned_and_in_units() {
    let (columns, rows) = everything();
    assert_eq!(
        printed(&columns, &rows, of(Format::Text)),
        "TIME               SERVER_IP  SERVER_PORT      P99  SHARE  IS_IT  LIST    A \"NAME\", ODD\n\
         2026-11-21 01:08Z  10.0.0.1          6379  3.22 ms   0.25  yes    1, , 3  syn=2\n\
         -                  \"\"                   0        -      -  -      -       -\n\
         (2 rows)\n"
    );
    assert_eq!(printed(&columns, &[], of(Format::Text)), "(no rows)\n");
    let settings = Settings {
        has_table: false,
        nothing: Some("no request failed"),
        ..of(Format::Text)
    };
    let said = printed(&columns, &[], settings);
    assert_eq!(said, "(no rows: no request failed)\n");
}

#[test]
fn rows_beyond_the_bound_are_counted() {
    let columns = [Column::new("n", Kind::Number)];
    let rows: Vec<_> = (0..2500).map(|n| vec![Value::Integer(n)]).collect();
    let settings = Settings {
        most_rows: Some(3),
        ..Settings::default()
    };
    assert_eq!(
        printed(&columns, &rows, settings),
        "N\n0\n1\n2\n(2,500 rows, of which the first 3 are shown)\n"
    );
    let all = printed(&columns, &rows, Settings::default());
    assert_eq!(all.lines().count(), 2502);
    let machine = Settings {
        format: Format::Csv,
        ..settings
    };
    assert_eq!(printed(&columns, &rows, machine).lines().count(), 2501);
}

#[test]
fn each_row_has_its_bar() {
    let columns = [
        Column::new("server_ip", Kind::Text),
        Column::new("server_port", Kind::Number),
        Column::new("p99_us", Kind::Number),
    ];
    let row = |ip: &str, us: i128| vec![text(ip), Value::Integer(80), Value::Integer(us)];
    let plot = Plot::Bars {
        labels: &["server_ip", "server_port"],
        value: "p99_us",
    };
    let settings = Settings {
        plot: Some(plot),
        has_table: false,
        width: 60,
        glyphs: Glyphs::Ascii,
        ..Settings::default()
    };
    let rows = [
        row("10.0.0.1", 2_000_000),
        row("10.0.0.20", 1000),
        row("::1", 0),
    ];
    assert_eq!(
        printed(&columns, &rows, settings),
        "\n10.0.0.1:80          2 s ##################################\n\
         10.0.0.20:80        1 ms #\n\
         ::1:80              0 ns\n"
    );
    // A result without these columns has no plot.
    assert_eq!(printed(&columns[..2], &rows, settings), "");
}

#[test]
fn a_divided_bar_says_what_its_letters_mean() {
    let columns = [
        Column::new("operation", Kind::Text),
        Column::new("in_server_us", Kind::Number),
        Column::new("in_network_us", Kind::Number),
        Column::new("in_loss_us", Kind::Number),
    ];
    let plot = Plot::Stack {
        labels: &["operation"],
        parts: &[
            ("in_server_us", 'S'),
            ("in_network_us", 'n'),
            ("in_loss_us", 'L'),
        ],
    };
    let settings = Settings {
        plot: Some(plot),
        has_table: false,
        width: 60,
        ..Settings::default()
    };
    let rows = [vec![
        text("GET"),
        Value::Integer(3000),
        Value::Integer(1000),
        Value::Integer(0),
    ]];
    assert_eq!(
        printed(&columns, &rows, settings),
        format!(
            "\nGET      4 ms {}{}\nS in server, n in network.\n",
            "S".repeat(34),
            "n".repeat(11)
        )
    );
}

#[test]
fn series_go_over_time_and_what_is_missing_is_no_zero() {
    let columns = [
        Column::new("minute", Kind::Time),
        Column::new("operation", Kind::Text),
        Column::new("requests", Kind::Number),
    ];
    let minute = 60 * SECOND;
    let row = |n: i64, operation: &str, requests: i128| {
        let at = Value::Time(Timestamp(START + n * minute));
        vec![at, text(operation), Value::Integer(requests)]
    };
    let plot = Plot::Lines {
        time: "minute",
        labels: &["operation"],
        value: "requests",
    };
    let settings = Settings {
        plot: Some(plot),
        has_table: false,
        width: 60,
        ..Settings::default()
    };
    let mut rows: Vec<_> = (0..20).map(|n| row(n, "GET", i128::from(n) * 10)).collect();
    rows.extend([row(0, "SET", 190), row(19, "SET", 190)]);
    assert_eq!(
        printed(&columns, &rows, settings),
        "\nGET        190 ··▁▁▁▁▁▁▂▂▂▂▃▃▃▃▃▃▄▄▄▄▅▅▅▅▅▅▆▆▆▆▇▇▇▇████\n\
         SET        190 ██                                    ██\n              \
         └────┴─────────┴─────────┴─────────┴─────\n                   \
         01:10:00  01:15:00  01:20:00  01:25:00\n\
         requests over time: a column is 1m 00s, its height the largest requests in it, a full one 190; the number is the \
         largest of a line.\n"
    );
}

#[test]
fn a_heat_map_has_time_below_and_durations_at_its_side() {
    let columns = [
        Column::new("minute", Kind::Time),
        Column::new("from_us", Kind::Number),
        Column::new("requests", Kind::Number),
    ];
    let row = |n: i64, from: i128, requests: i128| {
        let at = Value::Time(Timestamp(START + n * 60 * SECOND));
        vec![at, Value::Integer(from), Value::Integer(requests)]
    };
    let plot = Plot::Heat {
        time: "minute",
        row: "from_us",
        count: "requests",
    };
    let settings = Settings {
        plot: Some(plot),
        has_table: false,
        width: 60,
        glyphs: Glyphs::Ascii,
        ..Settings::default()
    };
    let rows = [
        row(0, 1000, 81),
        row(1, 1000, 1),
        row(1, 2000, 9),
        row(3, 2000, 3),
    ];
    assert_eq!(
        printed(&columns, &rows, settings),
        "\n     2 ms |   ooo   :::\n     1 ms |###...\n          +------+-----\n                 01:10:00\n\
         A column is 1m 00s, a row what took so long or longer, . 1, : 3, o 9, # 27 or more of them.\n"
    );
}
