//! How long a store keeps what it has, as options say it. What goes then: `remove`.

use std::str::FromStr;

use crate::units::{self, UnitError};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Records of so many days, that of today not counted.
    Days(u64),
    /// So many bytes of files.
    Size(u64),
}

impl Keep {
    /// How long rollups, findings and health are kept where records are not: by default.
    pub const ROLLUPS: Keep = Keep::Days(400);

    /// Reads `--keep DAYS|SIZE`: `30d`, `30` or `50GiB`.
    ///
    /// # Errors
    /// Says what is wrong and how to write it.
    pub fn parse(text: &str) -> Result<Keep, UnitError> {
        let refused = |why| UnitError::Keep {
            text: text.into(),
            why,
        };
        let days = text.strip_suffix("days").or_else(|| text.strip_suffix('d'));
        let number = u64::from_str(days.unwrap_or(text).trim());
        match (number, days) {
            (Ok(0), _) => Err(refused("it is zero")),
            (Ok(days), _) => Ok(Keep::Days(days)),
            (Err(_), Some(_)) => Err(refused("not a whole number of days")),
            (Err(_), None) => match units::parse_size(text) {
                Ok(0) => Err(refused("it is zero")),
                Ok(bytes) => Ok(Keep::Size(bytes)),
                Err(_) => Err(refused("neither days nor a size")),
            },
        }
    }

    /// Reads `--keep-rollups DAYS`.
    ///
    /// # Errors
    /// Says what is wrong and how to write it.
    pub fn parse_days(text: &str) -> Result<Keep, UnitError> {
        match Keep::parse(text)? {
            days @ Keep::Days(_) => Ok(days),
            Keep::Size(_) => Err(UnitError::Keep {
                text: text.into(),
                why: "not a number of days",
            }),
        }
    }
}
