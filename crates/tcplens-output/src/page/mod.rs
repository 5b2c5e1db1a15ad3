//! The page: what was seen as one HTML document with everything in it (scripts, styles, data), so that it can be sent around and
//! opened without a network; or the same document without data, which fetches it from a run that goes on. What it shows is
//! `tcplens_core::view::page`'s; how it is drawn is js/'s, with uPlot (uplot/README) for the plots over time.
//!
//! Safe to open, whatever the traffic was: nothing in the data is markup (js/format.js puts it into text nodes only, and here no `<`
//! of it is left), and a Content-Security-Policy lets no scripts run but these, by their hashes, and lets nothing be fetched.

mod command;
mod data;
pub mod fleet;
pub(crate) mod sha256;
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
    include_str!("js/lines.js"),
    include_str!("js/plots.js"),
    include_str!("js/parts.js"),
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

fn kit() -> Kit {
    Kit {
        frame: FRAME,
        style: STYLE.to_owned(),
        script: SCRIPT,
    }
}

/// A file: the page with its data, as [`Encoder::document`] made it.
#[must_use]
pub fn file(data: &str) -> String {
    kit().file(data)
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
    let kit = Kit {
        frame: ALONE,
        style: STYLE.to_owned(),
        script: ALONE_SCRIPT,
    };
    kit.fill(&meta, &story::alone(told, sources, chosen))
}

/// The page that fetches its data from where it comes from.
#[must_use]
pub fn live() -> String {
    kit().live()
}

/// The `Content-Security-Policy` that [`live`] is served with.
#[must_use]
pub fn live_policy() -> String {
    kit().live_policy()
}

/// What a page is made of, beside uPlot.
struct Kit {
    frame: &'static str,
    style: String,
    script: &'static str,
}

impl Kit {
    fn file(&self, data: &str) -> String {
        // frame-ancestors has no effect in an element (CSP 3 section 3.3).
        let policy = format!("{}; connect-src 'none'", self.policy());
        let meta = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">");
        self.fill(&meta, data)
    }

    fn live(&self) -> String {
        self.fill("", "null")
    }

    fn live_policy(&self) -> String {
        let policy = self.policy();
        format!("{policy}; connect-src 'self'; frame-ancestors 'none'")
    }

    fn policy(&self) -> String {
        let [style, uplot_style, uplot, script] =
            [&self.style, UPLOT_STYLE, UPLOT, self.script].map(sha256::source);
        format!(
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; \
             style-src {style} {uplot_style}; script-src {uplot} {script}"
        )
    }

    fn fill(&self, meta: &str, data: &str) -> String {
        let size = self.frame.len() + self.script.len() + UPLOT.len() + data.len() + 20_000;
        let mut page = String::with_capacity(size);
        for piece in self.frame.split("@@") {
            match piece {
                "META" => page.push_str(meta),
                "UPLOT_STYLE" => page.push_str(UPLOT_STYLE),
                "STYLE" => page.push_str(&self.style),
                "UPLOT_LICENSE" => page.push_str(UPLOT_LICENSE),
                "UPLOT" => page.push_str(UPLOT),
                "SCRIPT" => page.push_str(self.script),
                // In JSON a `<` can only be in a string, where this means the same.
                "DATA" => page.push_str(&data.replace('<', "\\u003c")),
                text => page.push_str(text),
            }
        }
        page
    }
}
