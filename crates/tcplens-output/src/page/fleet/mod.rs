//! The fleet page: what a store says, as one HTML document that asks for its data where it comes from; or with all of it within, so
//! that it can be sent around. Styles, plots and helpers are the page's (`super`), and so is what makes it safe to open.

mod data;
#[cfg(test)]
mod tests;

pub use data::{Mark, Store, document};

use super::{Kit, STYLE};

const FRAME: &str = include_str!("fleet.html");
const OWN_STYLE: &str = include_str!("fleet.css");
/// One script, in pieces for whoever reads them.
const SCRIPT: &str = concat!(
    include_str!("../js/format.js"),
    include_str!("js/model.js"),
    include_str!("js/lines.js"),
    include_str!("../js/plots.js"),
    include_str!("../js/parts.js"),
    include_str!("js/tables.js"),
    include_str!("js/records.js"),
    include_str!("js/main.js"),
);

fn kit() -> Kit {
    Kit {
        frame: FRAME,
        style: format!("{STYLE}{OWN_STYLE}"),
        script: SCRIPT,
    }
}

/// A file: the page with [`document`]s, the first of all, the others of a server each, by its name.
#[must_use]
pub fn file(all: &str, servers: &[(String, String)]) -> String {
    let mut json = crate::json::Json::new();
    json.open('{').name("documents").open('{');
    json.name("").raw(all);
    for (server, document) in servers {
        json.name(server).raw(document);
    }
    json.close('}').close('}');
    kit().file(&json.into_string())
}

/// The page that asks for its data where it comes from.
#[must_use]
pub fn live() -> String {
    kit().live()
}

/// The `Content-Security-Policy` that [`live`] is served with.
#[must_use]
pub fn live_policy() -> String {
    kit().live_policy()
}
