//! What the fleet page must not do, and what its script and the rest of the program have to call alike.

use tcplens_core::time::{SECOND, Timestamp};
use tcplens_core::view::fleet::{Fleet, FleetFilter, FleetRange};

use super::*;

const MARKUP: &str = "</script><img src=x onerror=alert(1)>";

fn range() -> FleetRange {
    let hour = 3600 * SECOND;
    FleetRange::of(Timestamp(0), Timestamp(hour))
}

#[test]
fn a_page_asks_nobody_but_who_serves_it_and_names_may_be_anything() {
    for page in [live(), file("{}", &[])] {
        assert!(!page.contains("@@"), "a piece is missing");
        for way in ["http://", "https://"] {
            // But for names of XML and what the licence says.
            let strange = page
                .split(way)
                .skip(1)
                .map(|rest| rest.split(['"', ' ', '\n']).next().unwrap());
            let strange: Vec<_> = strange
                .filter(|rest| {
                    !rest.starts_with("www.w3.org/") && *rest != "github.com/leeoniya/uPlot"
                })
                .collect();
            assert!(strange.is_empty(), "{strange:?}");
        }
    }
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "new Function",
    ] {
        assert!(!SCRIPT.contains(way), "{way}");
    }
    let mark = Mark {
        text: MARKUP.into(),
        component: MARKUP.into(),
        ..Mark::default()
    };
    let store = Store {
        name: MARKUP,
        marks: &[mark],
        damages: &[MARKUP.into()],
        ..Store::default()
    };
    let filter = FleetFilter {
        host: Some(MARKUP.into()),
        operation: Some(MARKUP.into()),
        ..FleetFilter::default()
    };
    let document = document(&Fleet::new(range(), filter), &store);
    let page = file(&document, &[(MARKUP.to_owned(), document.clone())]);
    assert!(document.contains(MARKUP) && !page.contains("<img"));
    // Three scripts, each of which ends once: data, uPlot, the page's own.
    assert_eq!(page.matches("</script>").count(), 3);
}

#[test]
fn the_policy_lets_run_what_is_in_the_page_and_nothing_else() {
    let policy = live_policy();
    let script = crate::page::sha256::source(SCRIPT);
    assert!(
        policy.contains(&script) && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert!(
        policy.ends_with("connect-src 'self'; frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(file("{}", &[]).contains("connect-src 'none'"));
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[test]
fn an_empty_store_is_a_document_that_says_so() {
    let store = Store {
        name: "/data",
        ..Store::default()
    };
    let document = document(&Fleet::new(range(), FleetFilter::default()), &store);
    let expected = format!(
        "{{\"version\":\"{}\",\"store\":\"/data\",\"from\":0,\"to\":3600,\"width\":60,\"filter\":{{}},\"extent\":[],\
         \"rollups\":0,\"files\":0,\"parts\":\"\",\"took_ns\":0,\"total\":{{}},\"slots\":[],\"servers\":{{\"rows\":[],\"joined\":0}},\
         \"operations\":{{\"rows\":[],\"joined\":0}},\"hosts\":{{\"rows\":[],\"joined\":0}},\"marks\":[],\"more_marks\":0,\
         \"damages\":[],\"more_damages\":0}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(document, expected);
}

#[cfg(feature = "parquet")]
#[test]
fn the_script_knows_the_views_that_there_are() {
    let names = crate::store::look::VIEWS.iter().map(|view| view.name);
    for name in names.clone() {
        assert!(SCRIPT.contains(&format!("[\"{name}\", ")), "{name}");
    }
    let own = SCRIPT.split("const VIEWS = [").nth(1).unwrap();
    let own = own.split("];").next().unwrap();
    assert_eq!(own.matches("[\"").count(), names.count());
}
