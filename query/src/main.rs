//! SQL over a store of records: DataFusion reads the Parquet files that `tcplens --store` writes.

use datafusion::prelude::SessionContext;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let context = SessionContext::new();
    context.sql("select 1").await?.show().await?;
    Ok(())
}
