//! One line of an archive, from JSON.

use tcplens_core::socket::message::{HEAD, push_attribute};
use tcplens_core::time::Span;

use super::super::base64;
use super::super::line::{Final, Metadata};
use super::super::stamp::Stamp;
use super::record;
use crate::read_json::Json;

/// Most places of the array of attributes: kinds have 14 bits.
const PLACES: usize = 1 << 14;

/// Longest value of an attribute: its length has 16 bits, the header's four bytes included.
const LONGEST_VALUE: usize = 0xffff - 4;

/// What a line says, but for its message.
#[derive(Default)]
pub(super) struct Found {
    pub(super) at: Stamp,
    pub(super) metadata: Option<Metadata>,
    pub(super) has_message: bool,
    pub(super) places: usize,
    pub(super) ended: Option<Final>,
}

/// Reads a line; its message goes to `message`.
pub(super) fn parse(text: &[u8], message: &mut Vec<u8>) -> Result<Found, &'static str> {
    if record::is_record(text) {
        return record::parse(text, message);
    }
    let mut found = Found::default();
    let mut wrong = None;
    let (mut head, mut attributes) = (Vec::new(), Vec::new());
    let mut json = Json::new(text);
    let object = json.object(|json, name| {
        if json.null() {
            return Some(());
        }
        let (value, why) = match name.as_ref() {
            b"Timestamp" => {
                let at = json.string().and_then(|text| Stamp::parse(&text));
                (at.map(|at| found.at = at), "Timestamp is no time")
            }
            b"RawIDM" => {
                let text = json.string();
                head.clear();
                let value = text.and_then(|text| base64::decode(&mut head, &text));
                let value = value.filter(|()| head.len() >= HEAD);
                found.has_message = value.is_some();
                (value, "RawIDM is not 72 bytes in base64")
            }
            b"Attributes" => {
                let places = array(json, &mut attributes);
                let value = places.map(|places| found.places = places);
                (value, "Attributes is no array of base64")
            }
            b"Metadata" => {
                let value = metadata(json).map(|metadata| found.metadata = Some(metadata));
                (value, "Metadata is incomplete")
            }
            b"Final" => {
                let value = ended(json).map(|ended| found.ended = Some(ended));
                (value, "Final is incomplete")
            }
            _ => (json.skip(), "no JSON object"),
        };
        if value.is_none() {
            wrong = Some(why);
        }
        value
    });
    if let Some(why) = wrong {
        return Err(why);
    }
    object.and_then(|()| json.end()).ok_or("no JSON object")?;
    if !found.has_message && found.metadata.is_none() && found.ended.is_none() {
        return Err("neither Metadata nor RawIDM");
    }
    message.clear();
    message.extend_from_slice(head.get(..HEAD).unwrap_or_default());
    message.extend_from_slice(&attributes);
    Ok(found)
}

/// Attributes as netlink lays them out, and how many places there were.
fn array(json: &mut Json<'_>, attributes: &mut Vec<u8>) -> Option<usize> {
    let (mut places, mut value) = (0, Vec::new());
    attributes.clear();
    json.array(|json| {
        let kind = u16::try_from(places).ok()?;
        places += 1;
        if places > PLACES {
            return None;
        }
        if json.null() {
            return Some(());
        }
        value.clear();
        base64::decode(&mut value, &json.string()?)?;
        if value.len() > LONGEST_VALUE {
            return None;
        }
        push_attribute(attributes, kind, &value);
        Some(())
    })?;
    Some(places)
}

fn metadata(json: &mut Json<'_>) -> Option<Metadata> {
    let mut metadata = Metadata {
        uuid: String::new(),
        sequence: 0,
        start_time: Stamp::default(),
    };
    json.object(|json, name| {
        match name.as_ref() {
            b"UUID" => metadata.uuid = String::from_utf8(json.string()?.into_owned()).ok()?,
            b"Sequence" => metadata.sequence = u32::try_from(json.number()?).ok()?,
            b"StartTime" => metadata.start_time = Stamp::parse(&json.string()?)?,
            _ => json.skip()?,
        }
        Some(())
    })?;
    Some(metadata)
}

fn ended(json: &mut Json<'_>) -> Option<Final> {
    let mut ended = Final {
        reason: None,
        duration: None,
        polls: None,
        snapshots: None,
    };
    json.object(|json, name| {
        match name.as_ref() {
            b"Reason" => {
                ended.reason = Some(String::from_utf8(json.string()?.into_owned()).ok()?);
            }
            b"DurationNanoseconds" => ended.duration = Some(Span::from_ns(json.number()?)),
            b"Polls" => ended.polls = Some(json.number()?),
            b"Snapshots" => ended.snapshots = Some(json.number()?),
            _ => json.skip()?,
        }
        Some(())
    })?;
    Some(ended)
}
