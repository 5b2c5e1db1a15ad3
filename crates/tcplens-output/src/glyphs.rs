//! Which characters text may be drawn with: by the locale, or because the user said so. Not whether it is coloured: see
//! `color`. What a locale's character set is: POSIX, environment variables LC_ALL, LC_CTYPE and LANG, the first that is set.

use std::borrow::Cow;
use std::env;

/// Characters of plots and units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Blocks and shades, µs.
    #[default]
    Unicode,
    /// Only what every terminal has: `#` and us.
    Ascii,
}

impl Glyphs {
    /// Unicode where the locale's characters are UTF-8, unless `is_ascii` asks for less. Looks at the environment.
    #[must_use]
    pub fn choose(is_ascii: bool) -> Glyphs {
        let variables = ["LC_ALL", "LC_CTYPE", "LANG"];
        let locale = variables
            .iter()
            .filter_map(env::var_os)
            .find(|value| !value.is_empty());
        let locale = locale.unwrap_or_default();
        match !is_ascii && is_utf8(&locale.to_string_lossy()) {
            true => Glyphs::Unicode,
            false => Glyphs::Ascii,
        }
    }

    /// Text as it may be printed: in ASCII `µ` is `u`, and what else has no place there is `?`.
    #[must_use]
    pub fn fit(self, text: &str) -> Cow<'_, str> {
        if self == Glyphs::Unicode || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let fitted = text.chars().map(|c| match c {
            'µ' => 'u',
            c if c.is_ascii() => c,
            _ => '?',
        });
        Cow::Owned(fitted.collect())
    }
}

/// `C.UTF-8`, `de_DE.utf8@euro`.
fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_uppercase();
    locale.contains("UTF-8") || locale.contains("UTF8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_names_its_characters() {
        for locale in ["C.UTF-8", "de_DE.utf8@euro", "en_GB.UTF-8"] {
            assert!(is_utf8(locale), "{locale}");
        }
        for locale in ["", "C", "POSIX", "de_DE", "de_DE.ISO-8859-15"] {
            assert!(!is_utf8(locale), "{locale}");
        }
    }

    #[test]
    fn ascii_has_no_other_character() {
        assert_eq!(Glyphs::Ascii.fit("12 µs, größer"), "12 us, gr??er");
        assert_eq!(Glyphs::Unicode.fit("12 µs, größer"), "12 µs, größer");
    }
}
