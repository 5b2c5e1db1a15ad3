//! Stand-in.
use super::*;
/// Stand-in.
#[derive(Default)]
pub struct Redis;
impl Parser for Redis {
    fn probe(_way: Way, bytes: &[u8]) -> Guess {
        if bytes.first() == Some(&b'*') {
            Guess::Yes
        } else {
            Guess::No
        }
    }
    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if !bytes.ends_with(b"\r\n") {
            return Step::Wait;
        }
        if way == Way::ToServer {
            context.texts.operation(b"X");
            Unit::new(bytes.len(), Part::Request(Request::whole())).step()
        } else {
            Unit::new(bytes.len(), Part::Response(Response::whole(false, None))).step()
        }
    }
    fn lost(&mut self, _way: Way) {}
}
