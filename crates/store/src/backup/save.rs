//! From a database to a file.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::cell;
use super::error::{Error, Result};
use super::frame::{FrameKind, FrameWriter};
use super::passing::push_kept;
use super::summary::{Header, Manifest, Progress, Summary, TableHeader};
use crate::Records;
use crate::records::{OnEngine, Purpose, Statement, Table, Value, pending, tables, taken};

/// Rows that one query asks for. The server has all of them ready before the first is taken, and others
/// wait while it does.
const PAGE: usize = 100;

/// Bytes that are taken at a time: others are at work, and whoever comes meanwhile waits that long.
const PIECE: usize = 32 * 1024;

/// After each piece, how often the time that it took. It takes the longer the more others have to do.
const REST: u32 = 3;

/// Bytes of a frame before it is packed, but for a row that is larger.
const FRAME: usize = 256 * 1024;

impl Records {
    /// Writes a backup of everything, as it is when this begins, and tells what it wrote; the writer
    /// comes back flushed. Writers of records go on meanwhile.
    ///
    /// # Errors
    /// What was written until then is no backup, and is refused as one.
    pub async fn backup<W: Write + Send + 'static>(
        &self,
        writer: W,
        mut progress: impl FnMut(&Progress),
    ) -> Result<(Summary, W)> {
        let mut transaction = self.begin(Purpose::Read).await?;
        transaction.without_bounds().await?;
        let (header, tables) = survey(&mut transaction).await?;
        let mut sink = Sink::new(writer);
        let mut state = Progress {
            total_rows: header.total_rows(),
            ..Progress::default()
        };
        let mut rows = Vec::with_capacity(tables.len());
        sink.send_json(FrameKind::Header, &header).await;
        for (number, table) in tables.iter().enumerate() {
            let before = state.rows;
            let number = u16::try_from(number).map_err(|_| Error::internal("too many tables"))?;
            save(
                &mut transaction,
                table,
                number,
                &mut sink,
                &mut |rows, bytes| {
                    state.rows += rows;
                    state.bytes = bytes;
                    progress(&state);
                },
            )
            .await?;
            rows.push(state.rows - before);
        }
        drop(transaction);
        sink.send_json(FrameKind::End, &Manifest { rows: rows.clone() })
            .await;
        let (digest, bytes, writer) = sink.finish().await?;
        self.fold().await;
        let names = tables.into_iter().map(|table| table.name);
        let summary = Summary {
            version: header.version,
            engine: header.engine,
            created_at: header.created_at,
            tables: names.zip(rows).collect(),
            bytes,
            digest,
        };
        Ok((summary, writer))
    }
}

/// What there is to save. The first query fixes what the others see.
async fn survey(transaction: &mut OnEngine) -> Result<(Header, Vec<Table>)> {
    let migrations = taken(transaction).await?;
    pending(&migrations).map_err(crate::Error::from)?;
    let tables = tables(transaction).await?;
    let mut headers = Vec::with_capacity(tables.len());
    for table in &tables {
        let mut statement = Statement::new("SELECT COUNT(*) AS count FROM ");
        statement.push_name(&table.name).push(" WHERE ");
        push_kept(&mut statement, &table.name);
        let counted = transaction.fetch(statement).await?;
        let count = counted.first().map_or(Ok(0), |row| row.int("count"))?;
        headers.push(TableHeader {
            name: table.name.clone(),
            columns: table.columns.clone(),
            rows: count.unsigned_abs(),
        });
    }
    let header = Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: transaction.engine().name().to_owned(),
        created_at: Timestamp::now(),
        migrations,
        tables: headers,
    };
    Ok((header, tables))
}

/// Saves a table, page after page; `done` hears of rows, and of the size of the file.
async fn save<W: Write + Send + 'static>(
    transaction: &mut OnEngine,
    table: &Table,
    number: u16,
    sink: &mut Sink<W>,
    done: &mut impl FnMut(u64, u64),
) -> Result<()> {
    let mut frame = number.to_be_bytes().to_vec();
    let mut after = None;
    let mut pace = Pace::new();
    loop {
        let mut rows = transaction.stream(page(table, after.take()))?;
        let mut count = 0;
        let mut key = Vec::new();
        while let Some(row) = futures_util::StreamExt::next(&mut rows).await {
            let row = row?;
            let length = frame.len();
            key.clear();
            for column in &table.columns {
                let value = row.value(column)?;
                cell::encode(&value, &mut frame);
                key.push(value);
            }
            count += 1;
            let taken = frame.len() - length;
            if frame.len() >= FRAME {
                let rest = number.to_be_bytes().to_vec();
                let is_heard = sink
                    .send(FrameKind::Rows, std::mem::replace(&mut frame, rest))
                    .await;
                if !is_heard {
                    return Err(sink.fault().await);
                }
            }
            pace.after(taken).await;
        }
        drop(rows);
        done(count as u64, sink.written());
        if count < PAGE {
            break;
        }
        after = Some(table.key.iter().map(|at| key[*at].clone()).collect());
    }
    if frame.len() > size_of_val(&number) {
        sink.send(FrameKind::Rows, frame).await;
    }
    Ok(())
}

/// Leaves the machine to others in between.
struct Pace {
    begin: Instant,
    taken: usize,
}

impl Pace {
    fn new() -> Self {
        Self {
            begin: Instant::now(),
            taken: 0,
        }
    }

    /// Rests if that makes a piece.
    async fn after(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken >= PIECE {
            tokio::time::sleep(self.begin.elapsed() * REST).await;
            *self = Self::new();
        }
    }
}

/// Rows of a table behind the one of this key.
fn page(table: &Table, after: Option<Vec<Value>>) -> Statement {
    let push_key = |statement: &mut Statement| {
        for (at, column) in table.key.iter().enumerate() {
            statement.push(if at > 0 { ", " } else { "" });
            statement.push_name(&table.columns[*column].name);
        }
    };
    let mut statement = Statement::new("SELECT ");
    for (at, column) in table.columns.iter().enumerate() {
        statement.push(if at > 0 { ", " } else { "" });
        statement.push_name(&column.name);
    }
    statement.push(" FROM ").push_name(&table.name);
    statement.push(" WHERE ");
    push_kept(&mut statement, &table.name);
    if let Some(values) = after {
        statement.push(" AND (");
        push_key(&mut statement);
        statement.push(") > (");
        for (at, value) in values.into_iter().enumerate() {
            statement.push(if at > 0 { ", " } else { "" });
            statement.push_value(value);
        }
        statement.push(")");
    }
    statement.push(" ORDER BY ");
    push_key(&mut statement);
    statement.push(" LIMIT ").push_value(PAGE as i64);
    statement
}

/// Frames on their way to a thread that may wait for the disk. At most two are on it.
struct Sink<W> {
    frames: mpsc::Sender<(FrameKind, Vec<u8>)>,
    written: Arc<AtomicU64>,
    thread: JoinHandle<io::Result<([u8; 32], W)>>,
}

impl<W: Write + Send + 'static> Sink<W> {
    fn new(writer: W) -> Self {
        let (frames, mut coming) = mpsc::channel::<(FrameKind, Vec<u8>)>(1);
        let written = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&written);
        let thread = spawn_blocking(move || {
            let mut writer = FrameWriter::new(writer)?;
            while let Some((kind, content)) = coming.blocking_recv() {
                writer.write(kind, &content)?;
                told.store(writer.written(), Ordering::Relaxed);
            }
            writer.finish()
        });
        Self {
            frames,
            written,
            thread,
        }
    }

    /// Whether there is still somebody who writes.
    async fn send(&self, kind: FrameKind, content: Vec<u8>) -> bool {
        self.frames.send((kind, content)).await.is_ok()
    }

    /// A thread that has ended tells why when this is finished.
    async fn send_json(&self, kind: FrameKind, content: &impl serde::Serialize) {
        if let Ok(content) = serde_json::to_vec(content) {
            self.send(kind, content).await;
        }
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Why nobody writes any more.
    async fn fault(&mut self) -> Error {
        match (&mut self.thread).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(_)) => Error::internal("the writer of a backup ended early"),
            Err(error) => Error::internal(error.to_string()),
        }
    }

    async fn finish(self) -> Result<([u8; 32], u64, W)> {
        drop(self.frames);
        let ended = self.thread.await;
        let (digest, writer) = ended.map_err(|error| Error::internal(error.to_string()))??;
        Ok((digest, self.written.load(Ordering::Relaxed), writer))
    }
}
