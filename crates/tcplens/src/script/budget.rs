//! What one call of a script may use, and what it has printed. Shared between the program, the instruction hook and the
//! functions that the sandbox calls.
//!
//! Instructions are counted, not time: the same script stops at the same place on every machine. Only where single
//! instructions are extraordinarily dear (texts of hundreds of megabytes) does the clock decide.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mlua::debug::Debug;
use mlua::{Error, Lua, Result, VmState};
use tcplens_capture::process::cpu_time;
use tcplens_core::time::Span;

/// Instructions between two looks. Chosen: an empty `process` runs about 30, so that a look comes after many calls.
pub(super) const EVERY: u32 = 1000;
/// What an instruction is taken to last, in ns: measured 6 to 12 with the count switched on.
const INSTRUCTION_NS: u64 = 10;
/// Output of one call, beyond which it is an error.
const MOST_OUTPUT: usize = 64 * 1024 * 1024;

/// See the module.
pub(super) struct Budget {
    /// Instructions left to this call.
    left: AtomicI64,
    is_spent: AtomicBool,
    clock: Mutex<Clock>,
    /// Where it was spent: file and line.
    place: Mutex<Option<String>>,
    output: Mutex<Vec<u8>>,
}

/// The clock's part, looked at when instructions are.
#[derive(Default)]
struct Clock {
    /// How long a call may last.
    most: Duration,
    /// When this call was looked at first, by the wall clock.
    began: Option<Instant>,
    /// CPU time when the wall clock said that it takes long.
    suspected: Option<Duration>,
}

/// How much longer by the clock than by counted instructions.
const CLOCK_FACTOR: u32 = 10;

impl Budget {
    pub(super) fn new() -> Budget {
        Budget {
            left: AtomicI64::new(0),
            is_spent: AtomicBool::new(false),
            clock: Mutex::default(),
            place: Mutex::default(),
            output: Mutex::default(),
        }
    }

    /// A call begins.
    pub(super) fn begin(&self, time: Span) {
        let instructions = i64::try_from(time.ns() / INSTRUCTION_NS).unwrap_or(i64::MAX);
        self.left.store(instructions, Ordering::Relaxed);
        self.is_spent.store(false, Ordering::Relaxed);
        let most = Duration::from_nanos(time.ns()).saturating_mul(CLOCK_FACTOR);
        *lock(&self.clock) = Clock {
            most,
            ..Clock::default()
        };
    }

    /// Takes so many instructions; false if they are not there.
    pub(super) fn spend(&self, instructions: i64) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        let left = left.saturating_sub(instructions);
        self.left.store(left, Ordering::Relaxed);
        if left < 0 {
            self.is_spent.store(true, Ordering::Relaxed);
        }
        left >= 0
    }

    /// Whether the limit was reached in this call.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    /// After [`EVERY`] instructions. The first time beyond the limit the coroutine yields, which no `pcall` sees; where it
    /// cannot (in a function called from C, such as a comparison of table.sort) it goes on, and then an error ends it,
    /// which the sandbox's `pcall` passes on.
    pub(super) fn hook(&self, lua: &Lua) -> Result<VmState> {
        let was_spent = self.is_spent();
        if self.spend(i64::from(EVERY)) && !was_spent && !self.is_late() {
            return Ok(VmState::Continue);
        }
        self.is_spent.store(true, Ordering::Relaxed);
        if was_spent {
            return Err(Error::runtime("the script's time is spent"));
        }
        self.note_place(lua);
        Ok(VmState::Yield)
    }

    /// Notes the innermost line of the script itself, once per call.
    pub(super) fn note_place(&self, lua: &Lua) {
        /// Levels looked at: those of the sandbox are few.
        const MOST: usize = 20;
        let place = |debug: &Debug| {
            let source = debug.source();
            // So begin the names of files.
            let is_script = source.source.is_some_and(|name| name.starts_with('@'));
            let line = debug.current_line().filter(|_| is_script)?;
            Some(format!("{}:{line}", source.short_src?))
        };
        let mut known = lock(&self.place);
        if known.is_none() {
            *known = (0..MOST).find_map(|level| lua.inspect_stack(level, place).flatten());
        }
    }

    /// By the clock: when the wall clock suspects so, CPU time must agree, for the program may have been stopped.
    fn is_late(&self) -> bool {
        let mut clock = lock(&self.clock);
        let began = *clock.began.get_or_insert_with(Instant::now);
        if began.elapsed() < clock.most / 2 {
            return false;
        }
        let Some(cpu) = cpu_time() else { return false };
        let suspected = *clock.suspected.get_or_insert(cpu);
        cpu.saturating_sub(suspected) > clock.most / 2
    }

    /// Where the latest limit was reached.
    pub(super) fn take_place(&self) -> Option<String> {
        lock(&self.place).take()
    }

    /// Appends to the output; false if that is too much for one call.
    pub(super) fn print(&self, parts: [&[u8]; 2]) -> bool {
        let mut output = lock(&self.output);
        if output.len() > MOST_OUTPUT {
            return false;
        }
        for part in parts {
            output.extend_from_slice(part);
        }
        true
    }

    /// What was printed and not taken yet.
    pub(super) fn output(&self) -> MutexGuard<'_, Vec<u8>> {
        lock(&self.output)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
