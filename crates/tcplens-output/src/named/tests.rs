use tcplens_core::time::SECOND;

use super::*;

#[test]
fn parameters_become_one_condition() {
    let none = Parameters::default();
    assert_eq!(none.condition(Dialect::Standard), "TRUE");
    let at = |text: &str| {
        text.parse::<Moment>()
            .unwrap()
            .resolve(tcplens_core::time::Timestamp(7200 * SECOND))
    };
    let all = Parameters {
        since: Some(at("2h")),
        until: Some(at("2026-11-21T10:05:00.5Z")),
        server: Some("[2001:db8::1]:6379".parse().unwrap()),
        hosts: vec!["web-1".to_owned(), "o'brien\\".to_owned()],
        limit: None,
        per: None,
    };
    assert_eq!(
        all.condition(Dialect::Standard),
        "time >= TIMESTAMP '1970-01-01 00:00:00.000000000' AND date >= DATE '1970-01-01' AND \
         time < TIMESTAMP '2026-11-21 10:05:00.500000000' AND date <= DATE '2026-11-21' AND \
         host IN ('web-1', 'o''brien\\') AND server_ip = '2001:db8::1' AND server_port = 6379"
    );
    assert_eq!(
        all.condition(Dialect::ClickHouse),
        "time >= 0 AND date >= '1970-01-01' AND time < 1795255500500000000 AND date <= '2026-11-21' AND \
         host IN ('web-1', 'o''brien\\\\') AND server_ip = '2001:db8::1' AND server_port = 6379"
    );
}

#[test]
fn times_and_servers_are_read_or_refused() {
    for text in [
        "2026-11-21",
        "2026-11-21T00:00",
        "2026-11-21 00:00:00",
        "2026-11-21T00:00:00.000Z",
    ] {
        let at = tcplens_core::time::Timestamp(1_795_219_200 * SECOND);
        assert_eq!(text.parse(), Ok(Moment::At(at)), "{text}");
    }
    for text in ["", "yesterday", "2026-13-01", "10", "2026-11-21'; DROP"] {
        assert!(text.parse::<Moment>().is_err(), "{text}");
    }
    for (text, ip, port) in [
        ("10.0.0.1", "10.0.0.1", None),
        ("10.0.0.1:80", "10.0.0.1", Some(80)),
        ("::1", "::1", None),
        ("[::1]", "::1", None),
        ("[::1]:80", "::1", Some(80)),
    ] {
        let expected = Server {
            ip: ip.parse().unwrap(),
            port,
        };
        assert_eq!(text.parse(), Ok(expected));
    }
    assert!("web".parse::<Server>().is_err());
}

#[test]
fn every_query_is_ordered_and_has_the_placeholders_that_it_says() {
    for named in ALL {
        let sql = named.standard;
        assert!(sql.contains("ORDER BY"), "{}", named.name);
        assert!(sql.contains("{where}"), "{}", named.name);
        assert_eq!(
            sql.contains("{limit}"),
            named.limit.is_some(),
            "{}",
            named.name
        );
        assert_eq!(sql.contains("{per}"), named.takes_per, "{}", named.name);
        assert!(sql.contains(named.table), "{}", named.name);
        let parameters = Parameters::default();
        let made = named.sql(Dialect::Standard, &parameters).unwrap().unwrap();
        assert!(!made.contains(['{', '}', ';']), "{}: {made}", named.name);
        assert!(named.title.len() <= 120, "{}", named.name);
        let made = named
            .sql(Dialect::ClickHouse, &parameters)
            .unwrap()
            .unwrap();
        assert!(made.contains("ORDER BY"), "{}", named.name);
        assert!(!made.contains(['{', '}', ';']), "{}: {made}", named.name);
        let limit = parameters.limit.or(named.limit.map(|(limit, _)| limit));
        assert!(limit.is_none_or(|limit| made.contains(&format!("LIMIT {limit}"))));
    }
}

#[test]
fn a_parameter_that_a_query_does_not_have_is_refused() {
    let hosts = Named::find("hosts").unwrap();
    let parameters = Parameters {
        limit: Some(3),
        ..Parameters::default()
    };
    assert_eq!(
        hosts.sql(Dialect::Standard, &parameters).unwrap_err(),
        "the query hosts has no --limit: it has all rows"
    );
    let why = Named::find("nothing").unwrap_err();
    assert!(
        why.starts_with("no query is called \"nothing\" (have: top-servers, "),
        "{why}"
    );
}
