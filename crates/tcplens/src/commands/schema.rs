//! `schema`: prints the tables of a database, or makes them.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Schema, SchemaOf};

#[cfg(feature = "remote")]
pub(super) fn run(command: &Schema) -> Result<ExitCode> {
    use anyhow::anyhow;
    use tcplens_output::clickhouse::schema::{Keep, Place};
    use tcplens_output::clickhouse::{Target, Version};

    use crate::commands::generated::to_stdout;
    use crate::store::server;

    let SchemaOf::Clickhouse = command.of;
    let keep = match command.keep_all {
        true => Keep {
            records: None,
            rollups: None,
        },
        false => Keep {
            records: days(command.keep),
            rollups: days(command.keep_rollups),
        },
    };
    let cluster = command.cluster.as_deref();
    for name in cluster.into_iter().chain([command.database.as_str()]) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(anyhow!(
                "{name:?} is no name of a database or cluster: letters, digits and _ only"
            ));
        }
    }
    if command.apply.is_empty() {
        let version = Version::parse(&command.server_version).filter(|it| *it >= Version::OLDEST);
        let version = version.ok_or_else(|| {
            anyhow!(
                "{:?} is no version that this writes for; write {} or later",
                command.server_version,
                Version::OLDEST
            )
        })?;
        let place = Place {
            database: &command.database,
            version,
            keep,
            cluster,
        };
        return to_stdout(place.script().as_bytes());
    }
    // All addresses are read before anything is done.
    let targets = command.apply.iter().map(|url| url.parse::<Target>());
    let targets: Vec<_> = targets
        .collect::<Result<_, _>>()
        .map_err(|why| anyhow!(why))?;
    let mut told = String::new();
    for target in &targets {
        let server = server(target, command.store_password_file.as_deref())?;
        let done = server.apply(keep, cluster)?;
        told.push_str(&format!("{target}: "));
        told.push_str(&match done.is_empty() {
            true => "all was there".to_owned(),
            false => done.join(", "),
        });
        told.push('\n');
    }
    to_stdout(told.as_bytes())
}

/// As TTL takes it.
#[cfg(feature = "remote")]
fn days(keep: tcplens_output::store::Keep) -> Option<u32> {
    match keep {
        tcplens_output::store::Keep::Days(days) => u32::try_from(days).ok(),
        tcplens_output::store::Keep::Size(_) => None,
    }
}

#[cfg(not(feature = "remote"))]
pub(super) fn run(command: &Schema) -> Result<ExitCode> {
    let SchemaOf::Clickhouse = command.of;
    anyhow::bail!("this tcplens was built without remote stores; build it with --features remote")
}
