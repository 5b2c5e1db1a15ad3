use super::*;

fn batch(n: u64) -> Batch {
    Batch {
        table: "requests".into(),
        id: format!("tcplens-web-{n:016x}"),
        rows: n,
        columns: "host,date,batch".into(),
        probe: format!("date = '2026-11-22' AND host = 'web' AND batch = {n}"),
        body: vec![b'\n', 0, 255, n as u8],
    }
}

fn place(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tcplens-spool-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path); // of an earlier run that failed
    path
}

fn open(at: &Path, run: &str) -> (Spool, Vec<Waiting>) {
    let target = "clickhouse://joe@[::1]:81/net".parse().unwrap();
    Spool::open(at, &target, run).unwrap()
}

#[test]
fn what_a_process_leaves_is_found_by_the_next_once_and_in_order() {
    let at = place("left");
    let (mut first, found) = open(&at, "20261122T1-1");
    assert_eq!(found, []);
    let kept: Vec<_> = (1..=3).map(|n| first.put(&batch(n)).unwrap()).collect();
    assert_eq!(kept[1].read().unwrap(), batch(2));
    assert!(first.path().starts_with(at.join("___1__81_net")));
    // While it lives nobody else takes them.
    let (second, found) = open(&at, "20261122T2-2");
    assert_eq!(found, []);
    drop(second);
    kept[0].remove().unwrap();
    fs::write(first.path().join("00000004.part"), "half").unwrap();
    drop(first);
    let (third, found) = open(&at, "20261122T3-3");
    let batches: Vec<_> = found
        .iter()
        .map(|waiting| waiting.read().unwrap())
        .collect();
    assert_eq!(batches, [batch(2), batch(3)]);
    assert!(found.iter().all(|waiting| waiting.is_found));
    let rows: Vec<_> = found.iter().map(|waiting| waiting.rows).collect();
    assert_eq!(rows, [2, 3]);
    let (_fourth, none) = open(&at, "20261122T4-4");
    assert_eq!(none, []);
    for waiting in &found {
        waiting.remove().unwrap();
    }
    drop(third);
    // What is empty goes with its process.
    let left: Vec<_> = fs::read_dir(at.join("___1__81_net")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    fs::remove_dir_all(&at).unwrap();
}

#[test]
fn a_file_that_is_cut_anywhere_is_no_batch() {
    let at = place("cut");
    let (mut spool, _) = open(&at, "20261122T1-1");
    let waiting = spool.put(&batch(7)).unwrap();
    let whole = fs::read(&waiting.path).unwrap();
    assert_eq!(waiting.bytes, whole.len() as u64);
    for length in 0..whole.len() {
        fs::write(&waiting.path, &whole[..length]).unwrap();
        let error = waiting.read().unwrap_err().to_string();
        assert!(error.contains("it is not whole"), "{length}: {error}");
        // Magic, table and id have 54 bytes, the rows two.
        let known = if length >= 56 { 7 } else { 0 };
        assert_eq!(rows(&waiting.path).unwrap_or(0), known, "{length}");
    }
    drop(spool);
    fs::remove_dir_all(&at).unwrap();
}

#[test]
fn a_spool_that_cannot_be_made_says_what_to_do() {
    let target = "clickhouse://joe@db/net".parse().unwrap();
    let error = Spool::open(Path::new("/proc/none"), &target, "x").unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot make the spool /proc/none/db_8123_net: "),
        "{text}"
    );
    assert!(
        text.ends_with("name another directory with --spool"),
        "{text}"
    );
}
