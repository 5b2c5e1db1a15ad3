//! The page: what was seen as one HTML document with everything in it (scripts, styles, data), so that it can be sent around and
//! opened without a network; or the same document without data, which fetches it from a run that goes on. What it shows is
//! `tcplens_core::view::page`'s; how it is drawn is js/'s, with uPlot (uplot/README) for the plots over time.
//!
//! Safe to open, whatever the traffic was: nothing in the data is markup (js/format.js puts it into text nodes only, and here no `<`
//! of it is left), and a Content-Security-Policy lets no scripts run but these, by their hashes, and lets nothing be fetched.

mod command;
mod data;
mod sha256;
mod story;
#[cfg(test)]
mod tests;

pub use data::{About, Encoder};
pub use story::Stories;

use tcplens_core::view::explain::Story;

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// One script, in pieces for whoever reads them.
const SCRIPT: &str = concat!(
    include_str!("js/format.js"),
    include_str!("js/model.js"),
    include_str!("js/plots.js"),
    include_str!("js/tables.js"),
    include_str!("js/waterfall.js"),
    include_str!("js/story.js"),
    include_str!("js/stories.js"),
    include_str!("js/main.js"),
);
const ALONE: &str = include_str!("story.html");
const ALONE_SCRIPT: &str = concat!(
    include_str!("js/format.js"),
    include_str!("js/story.js"),
    include_str!("js/alone.js"),
);
const UPLOT_STYLE: &str = include_str!("uplot/uPlot.min.css");
const UPLOT: &str = include_str!("uplot/uPlot.iife.min.js");
const UPLOT_LICENSE: &str = include_str!("uplot/LICENSE");

/// A file: the page with its data, as [`Encoder::document`] made it.
#[must_use]
pub fn file(data: &str) -> String {
    // frame-ancestors has no effect in an element (CSP 3 section 3.3).
    let policy = format!("{}; connect-src 'none'", policy());
    let meta = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">");
    fill(FRAME, SCRIPT, &meta, data)
}

/// A file with the life of one connection: what `explain` prints, as a page. `sources`: what was read, in words; `chosen`: why this
/// one, where nobody named it.
#[must_use]
pub fn story(told: &Story, sources: &str, chosen: Option<&str>) -> String {
    let [style, script] = [STYLE, ALONE_SCRIPT].map(sha256::source);
    let meta = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; form-action 'none'; \
         img-src data:; style-src {style}; script-src {script}; connect-src 'none'\">"
    );
    fill(
        ALONE,
        ALONE_SCRIPT,
        &meta,
        &story::alone(told, sources, chosen),
    )
}

/// The page that fetches its data from where it comes from.
#[must_use]
pub fn live() -> String {
    fill(FRAME, SCRIPT, "", "null")
}

/// The `Content-Security-Policy` that [`live`] is served with.
#[must_use]
pub fn live_policy() -> String {
    format!("{}; connect-src 'self'; frame-ancestors 'none'", policy())
}

fn policy() -> String {
    let [style, uplot_style, uplot, script] =
        [STYLE, UPLOT_STYLE, UPLOT, SCRIPT].map(sha256::source);
    format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; \
         style-src {style} {uplot_style}; script-src {uplot} {script}"
    )
}

fn fill(frame: &str, script: &str, meta: &str, data: &str) -> String {
    let mut page =
        String::with_capacity(frame.len() + script.len() + UPLOT.len() + data.len() + 20_000);
    for piece in frame.split("@@") {
        match piece {
            "META" => page.push_str(meta),
            "UPLOT_STYLE" => page.push_str(UPLOT_STYLE),
            "STYLE" => page.push_str(STYLE),
            "UPLOT_LICENSE" => page.push_str(UPLOT_LICENSE),
            "UPLOT" => page.push_str(UPLOT),
            "SCRIPT" => page.push_str(script),
            // In JSON a `<` can only be in a string, where this means the same.
            "DATA" => page.push_str(&data.replace('<', "\\u003c")),
            text => page.push_str(text),
        }
    }
    page
}
