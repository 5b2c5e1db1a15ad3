//! `record!`: one declaration makes the struct, its fields with their docs, and the walk over them.

/// Declares a record kind: `name: Type = method => value-expression-of-self`.
///
/// Each line is `/// doc`, the field, its type, and the [`Visitor`](super::Visitor) method it goes through. The
/// method gets `Option::from(field)`, so a field is `T` where it is always known and `Option<T>` where not.
/// `client: Sent = client_part` includes a part under the prefix `client_`; `is_final: bool = flag "final"` gives a
/// name that is no identifier. A record that borrows its text has a lifetime: `Request<'a> as "request"`.
///
/// What only packets tell goes through `packet_count` and `packet_flag`, what only the end that sent it knows without
/// packets through `client_count` and `server_count`: elsewhere it is absent, though the field has a value;
/// only a `packet_flag` that is set is shown all the same, for events of the kernel can be lost too. `extra` includes
/// fields that are absent together on most records (`extra!`); the field is an `Option` of a box or a reference.
macro_rules! record {
    ($(#[doc = $doc:literal])+ $name:ident $(<$life:lifetime>)? as $kind:literal {
        $( $(#[doc = $fdoc:literal])+ $field:ident : $ty:ty = $method:ident $($rename:literal)? ),+ $(,)?
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name $(<$life>)? { $( $(#[doc = $fdoc])+ pub $field: $ty, )+ }

        impl $(<$life>)? $crate::record::Record for $name $(<$life>)? {
            const KIND: &'static str = $kind;
            const DOC: &'static str = concat!($($doc, "\n"),+);
            fn fields(each: &mut dyn FnMut(&'static $crate::record::Field)) {
                $( record!(@list each, $ty, $field, $method, $($rename)?, concat!($($fdoc, "\n"),+)); )+
            }
            #[inline]
            fn visit<V: $crate::record::Visitor>(&self, visitor: &mut V) {
                $( record!(@visit self, visitor, $field, $method, $($rename)?, concat!($($fdoc, "\n"),+)); )+
            }
        }
    };
    (@list $each:ident, $ty:ty, $field:ident, client_part, , $doc:expr) => { <$ty>::fields::<true>($each) };
    (@list $each:ident, $ty:ty, $field:ident, server_part, , $doc:expr) => { <$ty>::fields::<false>($each) };
    (@list $each:ident, $ty:ty, $field:ident, extra, , $doc:expr) => {
        <<$ty as $crate::record::Held>::What as $crate::record::Extra>::fields($each)
    };
    (@list $each:ident, $ty:ty, $field:ident, packet_count, , $doc:expr) => {
        $each(record!(@field stringify!($field), count, $doc))
    };
    (@list $each:ident, $ty:ty, $field:ident, client_count, , $doc:expr) => {
        $each(record!(@field stringify!($field), count, $doc))
    };
    (@list $each:ident, $ty:ty, $field:ident, server_count, , $doc:expr) => {
        $each(record!(@field stringify!($field), count, $doc))
    };
    (@list $each:ident, $ty:ty, $field:ident, packet_flag, , $doc:expr) => {
        $each(record!(@field stringify!($field), flag, $doc))
    };
    (@list $each:ident, $ty:ty, $field:ident, word, , $doc:expr) => {
        $each(record!(@field stringify!($field), word, $doc, <$ty as $crate::record::Word>::WORDS))
    };
    (@list $each:ident, $ty:ty, $field:ident, $method:ident, , $doc:expr) => {
        $each(record!(@field stringify!($field), $method, $doc))
    };
    (@list $each:ident, $ty:ty, $field:ident, $method:ident, $name:literal, $doc:expr) => {
        $each(record!(@field $name, $method, $doc))
    };
    (@visit $self:ident, $visitor:ident, $field:ident, client_part, , $doc:expr) => {
        $self.$field.visit::<V, true>($visitor, $self.vantage.knows($self.tap_side, $crate::record::Side::Client))
    };
    (@visit $self:ident, $visitor:ident, $field:ident, server_part, , $doc:expr) => {
        $self.$field.visit::<V, false>($visitor, $self.vantage.knows($self.tap_side, $crate::record::Side::Server))
    };
    (@visit $self:ident, $visitor:ident, $field:ident, extra, , $doc:expr) => {
        $crate::record::Extra::visit($self.$field.as_deref(), $visitor)
    };
    (@visit $self:ident, $visitor:ident, $field:ident, packet_count, , $doc:expr) => {
        $visitor.count(
            record!(@field stringify!($field), count, $doc),
            $self.vantage.sees_packets().then_some($self.$field),
        )
    };
    (@visit $self:ident, $visitor:ident, $field:ident, client_count, , $doc:expr) => {
        $visitor.count(
            record!(@field stringify!($field), count, $doc),
            ($self.vantage.knows($self.tap_side, $crate::record::Side::Client) != $crate::record::Knows::Little)
                .then_some($self.$field),
        )
    };
    (@visit $self:ident, $visitor:ident, $field:ident, server_count, , $doc:expr) => {
        $visitor.count(
            record!(@field stringify!($field), count, $doc),
            ($self.vantage.knows($self.tap_side, $crate::record::Side::Server) != $crate::record::Knows::Little)
                .then_some($self.$field),
        )
    };
    (@visit $self:ident, $visitor:ident, $field:ident, packet_flag, , $doc:expr) => {
        $visitor.flag(
            record!(@field stringify!($field), flag, $doc),
            ($self.vantage.sees_packets() || $self.$field).then_some($self.$field),
        )
    };
    (@visit $self:ident, $visitor:ident, $field:ident, counts, , $doc:expr) => {
        $visitor.counts(record!(@field stringify!($field), counts, $doc), &$self.$field)
    };
    (@visit $self:ident, $visitor:ident, $field:ident, list, , $doc:expr) => {
        $visitor.list(record!(@field stringify!($field), list, $doc), &$self.$field)
    };
    (@visit $self:ident, $visitor:ident, $field:ident, text, , $doc:expr) => {
        $visitor.text(record!(@field stringify!($field), text, $doc), $self.$field.as_deref())
    };
    (@visit $self:ident, $visitor:ident, $field:ident, word, , $doc:expr) => {
        $visitor.word(record!(@field stringify!($field), word, $doc), $crate::record::Word::word($self.$field))
    };
    (@visit $self:ident, $visitor:ident, $field:ident, $method:ident, , $doc:expr) => {
        $visitor.$method(record!(@field stringify!($field), $method, $doc), Option::from($self.$field))
    };
    (@visit $self:ident, $visitor:ident, $field:ident, $method:ident, $name:literal, $doc:expr) => {
        $visitor.$method(record!(@field $name, $method, $doc), Option::from($self.$field))
    };
    (@field $name:expr, $method:ident, $doc:expr) => { record!(@field $name, $method, $doc, &[]) };
    (@field $name:expr, $method:ident, $doc:expr, $words:expr) => {{
        static FIELD: $crate::record::Field = $crate::record::Field {
            name: $name, json: concat!(",\"", $name, "\":"), kind: stringify!($method), doc: $doc, words: $words,
        };
        &FIELD
    }};
}

/// Declares what a record says of one side, once; a record includes it under `client_` and under `server_`. Without packets
/// `own_count` is known of the end that is observed, `packet_count` and `packet_span` never.
macro_rules! part {
    ($(#[doc = $doc:literal])+ $name:ident {
        $( $(#[doc = $fdoc:literal])+ $field:ident : $ty:ty = $method:ident ),+ $(,)?
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name { $( $(#[doc = $fdoc])+ pub $field: $ty, )+ }

        impl $name {
            fn fields<const CLIENT: bool>(each: &mut dyn FnMut(&'static $crate::record::Field)) {
                $( each(part!(@field CLIENT, $field, $method, concat!($($fdoc, "\n"),+))); )+
            }
            #[inline]
            fn visit<V: $crate::record::Visitor, const CLIENT: bool>(
                &self,
                visitor: &mut V,
                knows: $crate::record::Knows,
            ) {
                $( part!(@visit CLIENT, self, visitor, knows, $field, $method, concat!($($fdoc, "\n"),+)); )+
            }
        }
    };
    (@visit $client:ident, $self:ident, $visitor:ident, $knows:ident, $field:ident, packet_count, $doc:expr) => {
        $visitor.count(
            part!(@field $client, $field, packet_count, $doc),
            ($knows == $crate::record::Knows::All).then_some($self.$field),
        )
    };
    (@visit $client:ident, $self:ident, $visitor:ident, $knows:ident, $field:ident, own_count, $doc:expr) => {
        $visitor.count(
            part!(@field $client, $field, own_count, $doc),
            ($knows != $crate::record::Knows::Little).then_some($self.$field),
        )
    };
    (@visit $client:ident, $self:ident, $visitor:ident, $knows:ident, $field:ident, packet_span, $doc:expr) => {
        $visitor.span(
            part!(@field $client, $field, packet_span, $doc),
            ($knows == $crate::record::Knows::All).then_some($self.$field),
        )
    };
    (@visit $client:ident, $self:ident, $visitor:ident, $knows:ident, $field:ident, $method:ident, $doc:expr) => {
        $visitor.$method(part!(@field $client, $field, $method, $doc), Option::from($self.$field))
    };
    (@field $client:ident, $field:ident, packet_count, $doc:expr) => { part!(@field $client, $field, count, $doc) };
    (@field $client:ident, $field:ident, own_count, $doc:expr) => { part!(@field $client, $field, count, $doc) };
    (@field $client:ident, $field:ident, packet_span, $doc:expr) => { part!(@field $client, $field, span, $doc) };
    (@field $client:ident, $field:ident, $method:ident, $doc:expr) => {
        if $client {
            record!(@field concat!("client_", stringify!($field)), $method, $doc)
        } else {
            record!(@field concat!("server_", stringify!($field)), $method, $doc)
        }
    };
}

/// Declares fields that are there together or not at all, once; a record includes them by `= extra`. Their types are
/// `Option`s; of the methods `text` takes what derefs to `str`.
macro_rules! extra {
    ($(#[doc = $doc:literal])+ $name:ident {
        $( $(#[doc = $fdoc:literal])+ $field:ident : $ty:ty = $method:ident ),+ $(,)?
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name { $( $(#[doc = $fdoc])+ pub $field: $ty, )+ }

        impl $crate::record::Extra for $name {
            fn fields(each: &mut dyn FnMut(&'static $crate::record::Field)) {
                $( record!(@list each, $ty, $field, $method, , concat!($($fdoc, "\n"),+)); )+
            }
            #[inline]
            fn visit<V: $crate::record::Visitor>(this: Option<&Self>, visitor: &mut V) {
                $( extra!(@visit this, visitor, $field, $method, concat!($($fdoc, "\n"),+)); )+
            }
        }
    };
    (@visit $this:ident, $visitor:ident, $field:ident, text, $doc:expr) => {
        $visitor.text(record!(@field stringify!($field), text, $doc), $this.and_then(|this| this.$field.as_deref()))
    };
    (@visit $this:ident, $visitor:ident, $field:ident, word, $doc:expr) => {
        $visitor.word(
            record!(@field stringify!($field), word, $doc),
            $this.and_then(|this| $crate::record::Word::word(this.$field)),
        )
    };
    (@visit $this:ident, $visitor:ident, $field:ident, frames, $doc:expr) => {
        $visitor.frames(
            record!(@field stringify!($field), frames, $doc),
            $this.map_or(&[], |this| &this.$field),
        )
    };
    (@visit $this:ident, $visitor:ident, $field:ident, list, $doc:expr) => {
        $visitor.list(
            record!(@field stringify!($field), list, $doc),
            $this.map_or(&[], |this| &this.$field),
        )
    };
    (@visit $this:ident, $visitor:ident, $field:ident, $method:ident, $doc:expr) => {
        $visitor.$method(record!(@field stringify!($field), $method, $doc), $this.and_then(|this| this.$field))
    };
}
