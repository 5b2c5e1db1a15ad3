//! A collector that answers as a test tells it to, and keeps what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::Value;

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// A status, more headers (each with its line end), and a body.
    Status(u16, &'static str, &'static str),
    /// Nothing at all; the connection stays open.
    Nothing,
    /// It closes the connection.
    Closes,
}

pub(crate) const FINE: Says = Says::Status(200, "", "{}");

/// What it was told.
pub(crate) struct Told {
    pub at: Instant,
    pub path: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Collector {
    pub url: String,
    told: Receiver<Told>,
}

impl Collector {
    /// Answers in this order, and then always as the last.
    pub(crate) fn that(says: &[Says]) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, told) = channel();
        let mut says = says.to_vec();
        says.reverse();
        let says = Arc::new(Mutex::new(says));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (tell, says) = (tell.clone(), Arc::clone(&says));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut from = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read(&mut from) {
                        // The test may be over.
                        let _ = tell.send(request);
                        let next = {
                            let mut says = says.lock().unwrap();
                            let last = says.last().cloned().unwrap();
                            if says.len() > 1 {
                                says.pop();
                            }
                            last
                        };
                        if !answer(&mut stream, &next) {
                            return;
                        }
                    }
                });
            }
        });
        Collector { url, told }
    }

    /// What it is told next, at the latest in a while.
    pub(crate) fn told(&self) -> Told {
        self.told.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// What else it was told so far.
    pub(crate) fn rest(&self) -> Vec<Told> {
        self.told.try_iter().collect()
    }
}

/// Whether the connection goes on.
fn answer(stream: &mut TcpStream, says: &Says) -> bool {
    match says {
        Says::Status(status, headers, body) => {
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
            );
            stream.write_all(text.as_bytes()).is_ok()
        }
        Says::Nothing => true,
        Says::Closes => false,
    }
}

fn read(from: &mut BufReader<TcpStream>) -> Option<Told> {
    let mut line = String::new();
    from.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let path = line.split(' ').nth(1).unwrap().to_owned();
    assert!(line.starts_with("POST "), "{line}");
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut told = Told {
        at: Instant::now(),
        path,
        headers,
        body: Value::Null,
    };
    let length = told.header("content-length").unwrap().parse().unwrap();
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).ok()?;
    if told.header("content-encoding") == Some("gzip") {
        let mut plain = Vec::new();
        GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
        bytes = plain;
    }
    told.body = serde_json::from_slice(&bytes).unwrap();
    Some(told)
}
