//! How addresses, hashes and bytes look on the wire, for the API's description.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema, schema::ObjectBuilder, schema::Type},
};

/// A string with a pattern, by a name of its own.
macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $name:literal, $pattern:literal, $description:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $type;

        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some($pattern))
                    .description(Some($description))
                    .into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    };
}

text!(
    /// An address.
    AddressText,
    "Address",
    "^0x[0-9a-fA-F]{40}$",
    "Twenty bytes in hexadecimal; zero for the native currency where a token is meant."
);
text!(
    /// Thirty-two bytes.
    HashText,
    "Hash",
    "^0x[0-9a-fA-F]{64}$",
    "Thirty-two bytes in hexadecimal."
);
text!(
    /// Any bytes.
    BytesText,
    "Bytes",
    "^0x([0-9a-fA-F]{2})*$",
    "Bytes in hexadecimal."
);
