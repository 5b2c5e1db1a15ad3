//! One observation: what is asked for, and what came of it. The packets' way is in `pipeline`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use tcplens_capture::file::{Damage, MergedSource, Options};
use tcplens_capture::kernel::{KernelCounts, ProgramCost};
use tcplens_capture::{clock, process};
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::{Front, Lane, Transport};
use tcplens_core::filter::packet::PacketFilter;
use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::kernel::{Counts as MapperCounts, JoinCounts};
use tcplens_core::packet::{Interface, LinkType};
use tcplens_core::pending::Pending;
use tcplens_core::record::{Finding, Health, SCHEMA_VERSION};
use tcplens_core::shard::{Counts, Owner, Settings};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::wire::segment::Segment;
use tcplens_core::wire::{Checksum, DecodeCounts, DecodeSettings, Undecoded};
use tcplens_output::SinkEnd;
use tcplens_output::units::Rotate;

use crate::agent::anomalies::News;
use crate::answer::DeskSettings;
use crate::answer::listen::Listeners;
use crate::answer::server::Servers;
use crate::commands::Wanted;
use crate::gate::Gate;
use crate::kernel::NewPorts;
use crate::live::Live;
use crate::names::Known;
use crate::otlp::Otlp;
use crate::pipeline::{self, Ran};
use crate::progress::Progress;
use crate::say::say;
use crate::signals::{self, Reopenings, Requests};
use crate::store::{Feeder, StorePlan, Storing};

/// What is observed, and how.
pub(crate) struct Plan {
    /// Capture files; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Go on at their end.
    pub follow: bool,
    /// Threads.
    pub threads: usize,
    /// How to decode.
    pub decode: DecodeSettings,
    /// What the shards are told.
    pub settings: Settings,
    /// Packets to look at.
    pub filter: Option<PacketFilter>,
    /// Packets to leave out.
    pub exclude: Option<PacketFilter>,
    /// Where to save the packets that were looked at.
    pub write: Option<PathBuf>,
    /// When the next file of saved packets begins.
    pub rotate: Option<Rotate>,
    /// Packets after which to stop; of the kernel's view, records.
    pub count: Option<u64>,
    /// Which records these are.
    pub counted: Wanted,
    /// Other ports for the kernel to look at.
    pub new_ports: NewPorts,
    /// Packet time after which to stop.
    pub duration: Option<Span>,
    /// Told how far reading has come.
    pub progress: Progress,
    /// Set when it should end.
    pub stop: Arc<AtomicBool>,
    /// What signals ask for while it goes on.
    pub requests: Requests,
    /// How often files were to be opened anew.
    pub reopenings: Reopenings,
    /// How often the view is told what was counted so far, while live.
    pub interval: Option<Span>,
    /// Live packets, in place of files.
    pub live: Option<Live>,
    /// An interface that goes away is waited for.
    pub waits: bool,
    /// More is said on stderr.
    pub is_verbose: bool,
    /// Where answers are given while it goes on.
    pub listeners: Option<Listeners>,
    /// tcpeek's filters, for whoever asks.
    pub filters: Vec<HandshakeFilter>,
    /// What takes so long is slow, for whoever asks.
    pub slow_from: Option<Span>,
    /// Takes note of names that records tell.
    pub names: Option<Arc<Known>>,
    /// A collector that is told of all.
    pub otlp: Option<Otlp>,
    /// Where records are kept.
    pub store: Option<StorePlan>,
}

impl Plan {
    /// Reads the same files once more, the same way, and saves nothing. Of files only.
    pub(crate) fn again(&self) -> Plan {
        Plan {
            files: self.files.clone(),
            follow: false,
            threads: self.threads,
            decode: self.decode,
            settings: self.settings.clone(),
            filter: self.filter.clone(),
            exclude: self.exclude.clone(),
            write: None,
            rotate: None,
            count: self.count,
            counted: self.counted,
            new_ports: NewPorts::default(),
            duration: self.duration,
            progress: Progress::hidden(),
            stop: Arc::clone(&self.stop),
            requests: Requests::default(),
            reopenings: Reopenings::default(),
            interval: None,
            live: None,
            waits: false,
            is_verbose: false,
            listeners: None,
            filters: Vec::new(),
            slow_from: None,
            names: None,
            otlp: None,
            store: None,
        }
    }

    /// What addresses are called is to be known, for text.
    pub(crate) fn named(&mut self, known: Option<&Arc<Known>>) {
        let Some(known) = known else {
            return;
        };
        self.names = Some(known.clone());
        self.settings.names = known.sees();
        if let Some(live) = &mut self.live {
            known.reads_of(live);
        }
    }

    /// What whoever asks is told of.
    fn desk(&self, live: &Live) -> DeskSettings {
        DeskSettings {
            filters: self.filters.clone(),
            is_local_known: true,
            ports: self.settings.roles.server_ports.clone(),
            slow_from: self.slow_from,
            since: clock::now(),
            interfaces: live.interfaces_here(),
            observed: live.observed(),
        }
    }
}

/// Takes records as they become final.
pub(crate) trait View: Send {
    /// One record.
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd>;
    /// The time of the first packet, before any record: zero of `--time relative`.
    fn first_packet(&mut self, _at: Timestamp) {}
    /// What it wants to see of packets.
    fn packets(&self) -> Packets {
        Packets::None
    }
    /// A packet, before every record that it made final and after every record that was final before it: in an order that
    /// depends on nothing but the packets. Only called if [`packets`](Self::packets) asks for it.
    fn packet(&mut self, _packet: &Seen<'_>) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// The engine clock is there; called before the record or packet of that moment, and after each batch.
    fn clock(&mut self, _at: Timestamp) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// Attempts that nothing has answered, as it is now; from time to time while packets are captured.
    fn pending(&mut self, _pending: &Pending) {}
    /// All is open, and packets are looked at from here on.
    fn started(&mut self) {}
    /// Whoever looks wants to know what there is so far.
    fn summary(&mut self, _health: &Health) {}
    /// Files that are written may have been moved: go on in new ones.
    fn reopen(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// What was counted so far, from time to time while live.
    fn health(&mut self, _health: &Health) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// What is wrong, where it looks for that: after the last record.
    fn findings(&mut self, _health: &Health) -> Vec<Finding> {
        Vec::new()
    }
    /// What became abnormal, or is so no more, since this was asked last.
    fn anomalies(&mut self) -> Option<News> {
        None
    }
    /// All was shown: waits until its destination has it, but not for ever.
    fn settle(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// There is a store, for whoever has other records for it; before [`started`](Self::started). Of live runs only.
    fn stored(&mut self, _store: &Feeder) {}
    /// All was shown and settled: what else ends now, and what it lost. The last record of a store is written after that.
    fn ended(&mut self, _observed: &mut Observed) {}
    /// Lines that its destination did not take.
    fn dropped(&self) -> u64 {
        0
    }
    /// Nothing to read right now (a followed file): flush for whoever waits.
    fn idle(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }
}

/// What a view wants to see of packets themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packets {
    /// Nothing.
    None,
    /// What they are made of.
    Plain,
    /// Also whose they are: costs a look into the flow table each.
    Owned,
}

/// A TCP or UDP packet as a view sees it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// What carries its payload.
    pub transport: Transport,
    /// Its headers; of UDP those fields that UDP has.
    pub segment: &'a Segment,
    /// What was captured of its payload.
    pub payload: &'a [u8],
    /// Bytes on the wire, all headers included.
    pub wire_length: u32,
    /// All interfaces.
    pub interfaces: &'a [Interface],
    /// Whose it is, where that was asked for and is known.
    pub owner: Option<&'a Owner>,
}

/// What came of it.
pub(crate) struct Observed {
    /// What it saw and lost.
    pub health: Health,
    /// Where files are damaged.
    pub damages: Vec<Damage>,
    /// What else the user should know.
    pub warnings: Vec<String>,
    /// The reader of the results went away, or they cannot be written: nothing more is shown.
    pub reader_gone: bool,
    /// What ended live capture before its time.
    pub troubles: Vec<String>,
    /// What ended the run: a failure all the same, after all that was seen was shown.
    pub failure: Option<anyhow::Error>,
    /// The packets came from interfaces.
    pub is_live: bool,
}

/// Reads files that are open.
pub(crate) fn observe_files(
    plan: Plan,
    source: MergedSource,
    view: &mut dyn View,
) -> Result<Observed> {
    let mut kept = None;
    let ran = of_files(&plan, source, view, &mut kept)?;
    complete(&plan, ran, kept, view)
}

fn of_files(
    plan: &Plan,
    source: MergedSource,
    view: &mut dyn View,
    kept: &mut Option<Feeder>,
) -> Result<Ran> {
    let gate = Gate::new(plan)?;
    signals::watch();
    let feeder = open_store(plan)?;
    view.started();
    with_store(feeder, view, kept, |view| {
        pipeline::run(plan, source, gate, view)
    })
}

/// Reads everything, or captures until it is over.
pub(crate) fn observe(
    #[cfg_attr(not(feature = "remote"), expect(unused_mut))] mut plan: Plan,
    view: &mut dyn View,
) -> Result<Observed> {
    #[cfg(feature = "remote")]
    if let Some(otlp) = plan.otlp.take() {
        let mut around = otlp.around(view, &mut plan);
        return shown(plan, around.as_view());
    }
    shown(plan, view)
}

/// The same, with nobody else who is told.
fn shown(mut plan: Plan, view: &mut dyn View) -> Result<Observed> {
    let mut kept = None;
    let ran = match &plan.live {
        Some(live) => {
            // What takes packets one after the other takes one thread.
            let takes_packets = view.packets() != Packets::None;
            let is_counted = plan.count.is_some() && !live.is_kernel_alone();
            if takes_packets || plan.write.is_some() || is_counted {
                plan.threads = 1;
            }
            let mut opened = live.open(plan.threads, &plan.settings)?;
            let rings = opened.rings.iter().flatten();
            let gates = rings.map(|_| Gate::new(&plan));
            let gates = gates.collect::<Result<Vec<_>>>()?;
            let listeners = plan.listeners.take().filter(|all| !all.is_empty());
            live.give_up_privileges(listeners.as_ref())?;
            if plan.settings.roles.local.is_empty() {
                plan.settings.roles.local = std::mem::take(&mut opened.local);
            }
            let answering = listeners.map(|all| all.start(plan.desk(live)));
            let answering = answering.transpose()?;
            // Who asks for the page wants to open it.
            let servers = answering.as_ref().map(|(_, servers)| servers);
            let is_told =
                |servers: &&Servers| plan.is_verbose || (servers.has_page() && live.is_announced());
            if let Some(servers) = servers.filter(is_told) {
                say(servers);
            }
            live.announce(&opened.down);
            signals::watch();
            let feeder = open_store(&plan)?;
            if let Some(feeder) = &feeder {
                view.stored(feeder);
            }
            view.started();
            with_store(feeder, view, &mut kept, |view| {
                pipeline::live::run(&plan, opened, gates, view, answering)
            })
        }
        None => {
            let source = open(&plan)?;
            of_files(&plan, source, view, &mut kept)
        }
    };
    complete(&plan, ran?, kept, view)
}

/// What came of it, with what answered meanwhile.
fn complete(
    plan: &Plan,
    mut ran: Ran,
    mut kept: Option<Feeder>,
    view: &mut dyn View,
) -> Result<Observed> {
    if ran.end.is_none() {
        ran.end = view.settle().err();
    }
    if let Some(feeder) = &mut kept {
        match &ran.end {
            // Whoever runs it again has nothing twice.
            Some(_) if plan.live.is_none() => {
                if let Some(told) = feeder.abandon() {
                    say(told);
                }
            }
            _ => match feeder.settle() {
                // It ended the run, and all that was seen is shown.
                Err(SinkEnd::Failed(error)) if plan.live.is_some() => {
                    ran.failed.get_or_insert(error.into());
                }
                Err(end) => {
                    ran.end.get_or_insert(end);
                }
                Ok(()) => {}
            },
        }
    }
    ran.totals.records_dropped += view.dropped();
    let answering = ran.answering.take();
    let mut observed = conclude(plan, ran)?;
    if let Some(feeder) = &kept {
        tell_losses(&mut observed.health, feeder);
    }
    if let Some((desk, servers)) = answering {
        desk.complete(&mut observed.health);
        desk.close(|| (observed.health.clone(), Pending::default()));
        servers.finish();
    }
    view.ended(&mut observed);
    if let Some(feeder) = kept {
        complete_store(feeder, view, &mut observed);
    }
    Ok(observed)
}

/// Begins to keep records, where that is asked for.
fn open_store(plan: &Plan) -> Result<Option<Feeder>> {
    let stop = plan.live.as_ref().map(|_| Arc::clone(&plan.stop));
    let open = |store: &StorePlan| store.open(stop, plan.is_verbose);
    plan.store.as_ref().map(open).transpose()
}

/// Runs with a view that keeps records, too; what keeps them is in `kept` then.
fn with_store(
    feeder: Option<Feeder>,
    view: &mut dyn View,
    kept: &mut Option<Feeder>,
    run: impl FnOnce(&mut dyn View) -> Result<Ran>,
) -> Result<Ran> {
    let Some(feeder) = feeder else {
        return run(view);
    };
    let mut storing = Storing { view, feeder };
    let ran = run(&mut storing);
    *kept = Some(storing.feeder);
    ran
}

/// What a store lost so far.
fn tell_losses(health: &mut Health, feeder: &Feeder) {
    let counters = feeder.counters();
    let losses = &mut health.records_dropped;
    losses.retain(|(sink, _)| *sink != "store");
    losses.extend((counters.dropped > 0).then_some(("store", counters.dropped)));
    for (bound, hits) in counters.limit_hits {
        match health.limit_hits.iter_mut().find(|it| it.0 == bound) {
            Some((_, known)) => *known = hits,
            None => health.limit_hits.push((bound, hits)),
        }
    }
}

/// The last records of a store, and what it lost.
fn complete_store(mut feeder: Feeder, view: &mut dyn View, observed: &mut Observed) {
    let health = &mut observed.health;
    tell_losses(health, &feeder);
    let mut findings = view.findings(health).into_iter();
    let stored = findings
        .try_for_each(|finding| feeder.finding(&finding))
        .and_then(|()| feeder.health(health))
        .and_then(|()| feeder.finish());
    tell_losses(health, &feeder);
    if let Err(SinkEnd::Failed(error)) = stored {
        observed.failure.get_or_insert(error.into());
    }
}

/// Opens the files.
///
/// # Errors
/// They cannot be read, or the packets are to be saved in one of them.
pub(crate) fn open(plan: &Plan) -> Result<MergedSource> {
    let options = Options {
        follow: plan.follow,
        ..Options::default()
    };
    let source = MergedSource::open(&plan.files, options)?;
    if let Some(path) = &plan.write
        && source.reads(path)
    {
        bail!(
            "cannot write {}: it is one of the files that are read; name another one with -w",
            path.display()
        );
    }
    Ok(source)
}

/// What came of it, once everything has run.
///
/// # Errors
/// What was written cannot be completed, or nothing could be decoded.
fn conclude(plan: &Plan, ran: Ran) -> Result<Observed> {
    plan.progress.finish();
    let mut warnings = Vec::new();
    let (mut clamped, mut unsaved) = (0, 0);
    let mut failure = ran.failed;
    for gate in ran.gates {
        match gate.finish() {
            Ok(Some(saved)) => {
                clamped += saved.written.clamped_times;
                unsaved += saved.unsaved;
            }
            Ok(None) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if clamped > 0 {
        warnings.push(format!(
            "{clamped} packets have a time that the output file cannot hold"
        ));
    }
    let further = ran.source.as_ref().map_or(0, MergedSource::further_damages);
    if further > 0 {
        warnings.push(format!("{further} more places are damaged"));
    }
    let has_filter = plan.filter.is_some() || plan.exclude.is_some();
    let left_out = ran.totals.left_out;
    if has_filter && ran.totals.packets == 0 && left_out > 0 {
        warnings.push(format!(
            "the filter takes none of the {left_out} packets: nothing was looked at"
        ));
    }
    let kernel = ran.totals.kernel.as_ref();
    if let Some(early) = kernel
        .map(|kernel| kernel.counts.told_early)
        .filter(|&n| n > 0)
    {
        warnings.push(format!(
            "{early} responses went on after their request had been told of (they paused for --flush): what came later is in \
             their connections only"
        ));
    }
    let reader_gone = match ran.end {
        Some(SinkEnd::Failed(error)) => {
            failure = failure.or(Some(error.into()));
            true
        }
        Some(SinkEnd::Closed { .. }) => true,
        None => false,
    };
    let damages = ran.source.iter().flat_map(MergedSource::damages);
    let damages: Vec<_> = damages.cloned().collect();
    let mut health = health(plan, &ran.totals, ran.records);
    if unsaved > 0 {
        health.records_dropped.push(("packets", unsaved));
    }
    health.damaged_at = damages.first().map(|damage| damage.at);
    if let ([("unknown_link_type", n)], Some(LinkType(number))) =
        (health.undecoded.as_slice(), ran.link)
        && *n == health.packets
    {
        bail!(
            "cannot decode {}: no packet of a known link type, all {n} have {number}; \
             convert them (editcap -T ether), or capture on another interface",
            plan.files
                .first()
                .map_or_else(String::new, |file| file.display().to_string())
        );
    }
    Ok(Observed {
        troubles: ran.troubles,
        failure,
        is_live: plan.live.is_some(),
        health,
        damages,
        warnings,
        reader_gone,
    })
}

/// What was counted, of one thread or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Packets looked at.
    pub packets: u64,
    /// Packets passed over.
    pub left_out: u64,
    /// Bytes on the wire of those looked at.
    pub bytes: u64,
    /// Times that went back.
    pub time_reversals: u64,
    /// Time of the latest packet.
    pub last: Option<Timestamp>,
    /// What decoding counted.
    pub decoded: DecodeCounts,
    /// What the shards counted.
    pub shards: Counts,
    /// Packets that found no room in the ring.
    pub kernel_drops: Option<u64>,
    /// Records that found no room on their way to the view.
    pub records_dropped: u64,
    /// Segments and ICMP errors that came to one thread and were another's.
    pub handed_on: u64,
    /// Those of them that found no room there.
    pub unclaimed: u64,
    /// What the kernel told.
    pub kernel: Option<KernelTotals>,
    /// Attempts that nothing had answered, when this was told.
    pub pending: Pending,
    /// What giving records of packets their sockets came to.
    pub joined: Option<JoinCounts>,
}

/// What the kernel told, and what that took.
#[derive(Clone, Debug, Default)]
pub(crate) struct KernelTotals {
    /// What its programs counted.
    pub counts: KernelCounts,
    /// What making records of it counted.
    pub mapped: MapperCounts,
    /// What each of them cost.
    pub costs: Vec<ProgramCost>,
}

impl Totals {
    /// What a front and its lanes counted.
    pub(crate) fn of(front: &Front, lanes: &[Lane]) -> Totals {
        let mut shards = Counts::default();
        for lane in lanes {
            shards += lane.counts();
        }
        Totals {
            packets: front.packets(),
            left_out: front.left_out(),
            bytes: front.bytes,
            time_reversals: front.time_reversals,
            last: front.last(),
            decoded: front.counts().clone(),
            shards,
            kernel_drops: None,
            records_dropped: 0,
            handed_on: 0,
            unclaimed: 0,
            kernel: None,
            pending: Pending::default(),
            joined: None,
        }
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: &Totals) {
        self.packets += other.packets;
        self.left_out += other.left_out;
        self.bytes += other.bytes;
        self.time_reversals += other.time_reversals;
        self.last = self.last.max(other.last);
        self.decoded.add(&other.decoded);
        self.shards += other.shards;
        self.kernel_drops = match (self.kernel_drops, other.kernel_drops) {
            (Some(one), Some(more)) => Some(one + more),
            (one, more) => one.or(more),
        };
        self.records_dropped += other.records_dropped;
        self.handed_on += other.handed_on;
        self.unclaimed += other.unclaimed;
        // There is one at most.
        self.kernel = self.kernel.take().or_else(|| other.kernel.clone());
        self.pending.add(&other.pending);
        // There is one at most, of all threads.
        self.joined = self.joined.or(other.joined);
    }
}

/// The record of what was counted.
pub(crate) fn health(plan: &Plan, totals: &Totals, records: [u64; 3]) -> Health {
    let (decoded, shards) = (&totals.decoded, &totals.shards);
    let undecoded = decoded
        .all_undecoded()
        .map(|(reason, n)| match reason {
            Undecoded::Udp => (reason.word(), n.saturating_sub(shards.read.datagrams)),
            _ => (reason.word(), n),
        })
        .filter(|(_, n)| *n > 0)
        .collect();
    let joined = totals.joined.unwrap_or_default();
    let unjoined = [
        ("several_namespaces", joined.several_namespaces),
        ("no_socket", joined.no_socket),
    ];
    let kernel = totals.kernel.as_ref();
    let of_kernel = kernel.into_iter().flat_map(|kernel| {
        let programs = [
            ("kernel_storage", kernel.counts.storage_failed),
            ("kernel_heads", kernel.counts.heads_missed),
            ("kernel_times", kernel.counts.times_missed),
            ("kernel_probes", kernel.counts.probes_missed),
            ("kernel_flush", kernel.counts.told_early),
        ];
        programs.into_iter().chain(kernel.mapped.limit_hits())
    });
    let costs = || {
        kernel
            .iter()
            .flat_map(|kernel| &kernel.costs)
            .filter(|cost| cost.runs > 0)
    };
    let limits = decoded
        .limit_hits()
        .chain([
            ("holes", shards.holes),
            ("datagram_flows", shards.evicted_datagrams),
            ("handed_on", totals.unclaimed),
            ("joined_sockets", joined.sockets),
        ])
        .chain(shards.read.limit_hits())
        .chain(of_kernel);
    let unparsed = shards.read.unparsed().filter(|(_, n)| *n > 0);
    Health {
        time: match plan.live {
            Some(_) => Some(clock::now()),
            None => totals.last,
        },
        vantage: plan.settings.vantage,
        packets: totals.packets,
        bytes: totals.bytes,
        tcp_segments: decoded.tcp_segments,
        datagrams: shards.read.datagrams,
        undecoded,
        kernel_drops: totals.kernel_drops,
        kernel_events: kernel.map(|kernel| kernel.counts.events),
        event_drops: kernel.map(|kernel| kernel.counts.drops),
        accept_overflows: kernel.and_then(|kernel| kernel.counts.accept_overflows),
        probe_runs: costs().map(|cost| (cost.name, cost.runs)).collect(),
        probe_ns: costs().map(|cost| (cost.name, cost.ns)).collect(),
        handed_on: (totals.handed_on > 0).then_some(totals.handed_on),
        cut_packets: decoded.cut_packets,
        fragments: decoded.fragments,
        duplicates: shards.duplicates,
        bad_checksums: (plan.decode.checksum != Checksum::None).then_some(decoded.bad_checksums),
        time_reversals: totals.time_reversals,
        connections: shards.connections,
        evicted_connections: shards.evicted,
        unjoined_connections: unjoined.into_iter().filter(|(_, n)| *n > 0).collect(),
        late_syns: shards.late_syns,
        late_segments: shards.late_segments,
        stream_gaps: shards.read.gaps,
        unparsed_messages: unparsed.collect(),
        limit_hits: limits.filter(|(_, n)| *n > 0).collect(),
        records: vec![
            ("handshake", records[0]),
            ("request", records[1]),
            ("connection", records[2]),
        ],
        records_dropped: Vec::from_iter(
            (totals.records_dropped > 0).then_some(("output", totals.records_dropped)),
        ),
        damaged_at: None,
        cpu_us: process::cpu_time()
            .map(|time| Span::from_ns(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))),
        peak_rss_bytes: process::peak_resident_bytes(),
        schema_version: SCHEMA_VERSION,
        sockets: None,
    }
}
