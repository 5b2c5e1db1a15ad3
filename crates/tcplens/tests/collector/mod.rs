//! A collector of OpenTelemetry that takes everything, or refuses it, and tells what it got.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use flate2::read::GzDecoder;

/// A path, what of headers is asked for, and the body.
pub(crate) type Told = (String, Vec<String>, String);

/// Answers each message with this status.
pub(crate) fn collector(status: u16) -> (String, Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut from = BufReader::new(stream.try_clone().unwrap());
                while let Some(message) = read(&mut from) {
                    // The test may be over.
                    let _ = tell.send(message);
                    let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 2\r\n\r\n{{}}");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, told)
}

fn read(from: &mut BufReader<TcpStream>) -> Option<Told> {
    let mut line = String::new();
    from.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    let (mut length, mut is_packed) = (0, false);
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("content-length", n)) => length = n.parse().ok()?,
            Some(("content-encoding", "gzip")) => is_packed = true,
            Some(("authorization" | "content-type", _)) => headers.push(line),
            Some(_) => {}
            None => break,
        }
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).ok()?;
    let mut body = String::new();
    match is_packed {
        true => GzDecoder::new(&bytes[..]).read_to_string(&mut body).ok()?,
        false => bytes.as_slice().read_to_string(&mut body).ok()?,
    };
    Some((path, headers, body))
}
