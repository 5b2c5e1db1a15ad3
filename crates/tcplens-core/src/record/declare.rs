//! `record!`: one declaration makes the struct, its fields with their docs, and the walk over them.

/// Declares a record kind: `name: Type = method => value-expression-of-self`.
///
/// Each line is `/// doc`, the field, its type, and the [`Visitor`](super::Visitor) method it goes through. The
/// method gets `Option::from(field)`, so a field is `T` where it is always known and `Option<T>` where not.
/// `client: Sent = client_part` includes a part under the prefix `client_`; `is_final: bool = flag "final"` gives a
/// name that is no identifier. A record that borrows its text has a lifetime: `Request<'a> as "request"`.
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
    (@list $each:ident, $ty:ty, $field:ident, $method:ident, , $doc:expr) => {
        $each(record!(@field stringify!($field), $method, $doc))
    };
    (@list $each:ident, $ty:ty, $field:ident, $method:ident, $name:literal, $doc:expr) => {
        $each(record!(@field $name, $method, $doc))
    };
    (@visit $self:ident, $visitor:ident, $field:ident, client_part, , $doc:expr) => {
        $self.$field.visit::<V, true>($visitor)
    };
    (@visit $self:ident, $visitor:ident, $field:ident, server_part, , $doc:expr) => {
        $self.$field.visit::<V, false>($visitor)
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
    (@field $name:expr, $method:ident, $doc:expr) => {{
        static FIELD: $crate::record::Field = $crate::record::Field {
            name: $name, json: concat!(",\"", $name, "\":"), kind: stringify!($method), doc: $doc,
        };
        &FIELD
    }};
}

/// Declares what a record says of one side, once; a record includes it under `client_` and under `server_`.
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
            fn visit<V: $crate::record::Visitor, const CLIENT: bool>(&self, visitor: &mut V) {
                $( visitor.$method(
                    part!(@field CLIENT, $field, $method, concat!($($fdoc, "\n"),+)),
                    Option::from(self.$field),
                ); )+
            }
        }
    };
    (@field $client:ident, $field:ident, $method:ident, $doc:expr) => {
        if $client {
            record!(@field concat!("client_", stringify!($field)), $method, $doc)
        } else {
            record!(@field concat!("server_", stringify!($field)), $method, $doc)
        }
    };
}
