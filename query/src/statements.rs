//! Statements, one after the other: parsed, refused where they would change something, planned, run, and their rows printed. If a
//! damaged file ends a query before its first row, it is found, left out, and the query runs again.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as Ansi;
use futures::StreamExt;
use tcplens_output::answer::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::damage;
use crate::engine::Engine;
use crate::output::{Output, Printed};
use crate::trouble::{self, Result, Trouble};
use crate::values;

/// Batches of rows (8,192 each) that wait to be printed.
const BATCHES: usize = 2;

impl Engine {
    /// Runs each statement of `sql` and prints what it answers.
    pub(crate) async fn run_all(
        &self,
        sql: &str,
        is_explained: bool,
        output: &Output,
    ) -> Result<()> {
        let statements = parse(sql)?;
        if statements.is_empty() {
            return Err(Trouble::usage("there is no SQL to run"));
        }
        if statements.len() > 1 && output.takes_one() {
            return Err(Trouble::usage(
                "a Parquet file takes the answer of one statement; write one, or -f jsonl",
            ));
        }
        let mut printed = output.open()?;
        for statement in statements {
            self.run(sql, statement, is_explained, &mut printed).await?;
        }
        printed.finish()
    }

    async fn run(
        &self,
        sql: &str,
        statement: Statement,
        is_explained: bool,
        printed: &mut Printed,
    ) -> Result<()> {
        refuse(&statement)?;
        let plan = self.context.state().statement_to_plan(statement).await;
        let plan = plan.map_err(|error| trouble::in_sql(sql, &error))?;
        let nothing_else = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        nothing_else
            .verify_plan(&plan)
            .map_err(|error| Trouble::Usage(format!("{}; {READ_ONLY}", error.strip_backtrace())))?;
        let is_explained =
            is_explained || matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
        loop {
            self.told.forget_scans();
            let Err(error) = self.once(&plan, is_explained, printed).await? else {
                return Ok(());
            };
            let may_be_damage =
                !matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
            let told = std::sync::Arc::clone(&self.told);
            let search = tokio::task::spawn_blocking(move || damage::search(&told));
            let found = match may_be_damage {
                true => search.await.unwrap_or(0),
                false => 0,
            };
            if found == 0 || printed.rows() > 0 {
                let trouble = trouble::in_run(&error);
                return Err(match (found, trouble) {
                    (1.., Trouble::Failed(words)) => Trouble::Failed(format!(
                        "{words}; a damaged file was found: the rows above are not all, ask again and it is left out"
                    )),
                    (_, trouble) => trouble,
                });
            }
        }
    }

    /// Runs a plan once. The inner error is one of the engine, after which it may be worth trying again.
    async fn once(
        &self,
        plan: &LogicalPlan,
        is_explained: bool,
        printed: &mut Printed,
    ) -> Result<std::result::Result<(), DataFusionError>> {
        let frame = DataFrame::new(self.context.state(), plan.clone());
        let is_explain = matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
        let frame = match is_explained && !is_explain {
            true => frame.explain(false, false),
            false => Ok(frame),
        };
        let begun = async { frame?.execute_stream().await };
        let mut stream = tokio::select! {
            stream = begun => match stream {
                Ok(stream) => stream,
                Err(error) => return Ok(Err(error)),
            },
            _ = tokio::signal::ctrl_c() => return Err(Trouble::Interrupted),
        };
        // In a task of its own: parts of a query go on for minutes without giving way, and Ctrl-C must not wait for them.
        let (sender, mut batches) = mpsc::channel(BATCHES);
        let schema = stream.schema();
        // Ends with this function, whichever way that is: as soon as it gives way.
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(batch) = stream.next().await {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
        });
        printed.begin(&schema, is_explained)?;
        let answered = tokio::select! {
            answered = rows(&mut batches, printed) => answered?,
            _ = tokio::signal::ctrl_c() => {
                printed.end("")?;
                return Err(Trouble::Interrupted);
            }
        };
        drop(batches);
        // The damaged parts of a file may make it panic, which ends the answer as well.
        let answered = match (answered, task.join_next().await) {
            (Ok(()), Some(Err(error))) => Err(DataFusionError::ExecutionJoin(Box::new(error))),
            (answered, _) => answered,
        };
        if answered.is_ok() || printed.rows() > 0 {
            printed.end(&if is_explained {
                self.told.pruning()
            } else {
                String::new()
            })?;
        }
        Ok(answered)
    }

    /// The value of a query that has one.
    pub(crate) async fn one_value(&self, sql: &str) -> Result<Value> {
        let frame = self
            .context
            .sql(sql)
            .await
            .map_err(|error| trouble::in_sql(sql, &error))?;
        let batches = frame
            .collect()
            .await
            .map_err(|error| trouble::in_run(&error))?;
        let batch = batches.iter().find(|batch| batch.num_rows() > 0);
        Ok(batch.map_or(Value::Absent, |batch| values::value(batch.column(0), 0)))
    }
}

async fn rows(
    batches: &mut mpsc::Receiver<datafusion::common::Result<RecordBatch>>,
    printed: &mut Printed,
) -> Result<std::result::Result<(), DataFusionError>> {
    while let Some(batch) = batches.recv().await {
        match batch {
            Ok(batch) => printed.push(&batch)?,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

/// What is allowed, for messages.
const READ_ONLY: &str =
    "a store is only read: SELECT, WITH, VALUES, EXPLAIN, DESCRIBE and SHOW are understood";

/// The statements in a text.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let parsed = DFParserBuilder::new(sql)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    parsed
        .map(Vec::from)
        .map_err(|error| trouble::in_sql(sql, &error))
}

/// Whether a text is not a whole statement yet.
pub(crate) fn is_open(sql: &str) -> bool {
    !sql.trim_end().ends_with(';')
}

/// Statements that would change something, or read something else, are told by their first word.
fn refuse(statement: &Statement) -> Result<()> {
    let is_allowed = match statement {
        Statement::Statement(statement) => matches!(
            **statement,
            Ansi::Query(_)
                | Ansi::Explain { .. }
                | Ansi::ExplainTable { .. }
                | Ansi::ShowTables { .. }
                | Ansi::ShowColumns { .. }
                | Ansi::ShowFunctions { .. }
                | Ansi::ShowVariable { .. }
        ),
        Statement::Explain(explained) => return refuse(&explained.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    };
    if is_allowed {
        return Ok(());
    }
    let text = statement.to_string();
    let word = text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_uppercase();
    Err(Trouble::Usage(format!("{word} is refused: {READ_ONLY}")))
}
