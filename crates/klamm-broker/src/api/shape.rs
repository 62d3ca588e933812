//! Checks the lengths in a request before it is decoded.
//!
//! The generated decoder sets aside memory for as many elements as an array claims to have. Twelve bytes that claim 2^31
//! would end the process: an allocation that fails cannot be caught. So each API tells the shape of its request, and
//! [`Shape::check`] walks the bytes first; what passes has as many elements as it says. A test generates bytes from every
//! shape in every version and lets the decoder read them, so that the two cannot drift apart.
//!
//! The decoder reads a tagged field that it knows whatever size was announced for it, and goes on behind what it has read. So such a
//! field has to be as large as its size says, or the two would stand at different bytes from there on.

/// Elements that one request may have, over all its arrays: a bound on what decoding makes of small bytes.
const MAX_ELEMENTS: usize = 1_000_000;

/// The layout of a request in all offered versions.
pub(crate) struct Shape {
    /// The first version with compact lengths and tagged fields (KIP-482).
    pub flexible: i16,
    pub fields: &'static [Field],
}

/// One field, and the versions that have it.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    from: i16,
    until: i16,
    /// The field comes with the tagged ones (KIP-482), if at all.
    tag: Option<u32>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, possibly null.
    Text,
    /// Bytes, possibly null.
    Blob,
    /// An array of structures, possibly null.
    Structs(&'static [Field]),
    /// One structure.
    Structure(&'static [Field]),
    /// One structure, or null.
    Nullable(&'static [Field]),
    /// An array of something simpler; its elements have no tagged fields.
    Plain(&'static Field),
}

pub(crate) const BOOL: Field = of(Kind::Fixed(1));
pub(crate) const INT8: Field = of(Kind::Fixed(1));
pub(crate) const INT16: Field = of(Kind::Fixed(2));
pub(crate) const INT32: Field = of(Kind::Fixed(4));
pub(crate) const INT64: Field = of(Kind::Fixed(8));
pub(crate) const UUID: Field = of(Kind::Fixed(16));
pub(crate) const TEXT: Field = of(Kind::Text);
pub(crate) const BLOB: Field = of(Kind::Blob);

/// An array of structures.
pub(crate) const fn structs(fields: &'static [Field]) -> Field {
    of(Kind::Structs(fields))
}

/// A structure.
pub(crate) const fn structure(fields: &'static [Field]) -> Field {
    of(Kind::Structure(fields))
}

/// A structure that may be null.
pub(crate) const fn nullable(fields: &'static [Field]) -> Field {
    of(Kind::Nullable(fields))
}

/// An array of numbers or strings.
pub(crate) const fn plain(element: &'static Field) -> Field {
    of(Kind::Plain(element))
}

const fn of(kind: Kind) -> Field {
    Field { from: 0, until: i16::MAX, tag: None, kind }
}

impl Field {
    /// The field exists since this version.
    pub const fn since(self, from: i16) -> Self {
        Self { from, ..self }
    }

    /// The field comes with the tagged ones, under this tag.
    pub const fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// The field exists up to this version.
    pub const fn until(self, until: i16) -> Self {
        Self { until, ..self }
    }
}

/// What is wrong with the bytes of a request.
pub(crate) type Malformed = &'static str;

impl Shape {
    /// Checks that every length in `bytes` fits what follows it.
    pub fn check(&self, bytes: &[u8], version: i16) -> Result<(), Malformed> {
        let flexible = version >= self.flexible;
        let mut walk = Walk { rest: bytes, version, flexible, elements: 0 };
        walk.structure(self.fields)
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &[Field]) -> Result<(), Malformed> {
        let version = self.version;
        let in_version = |field: &&Field| (field.from..=field.until).contains(&version);
        for field in fields.iter().filter(in_version).filter(|field| field.tag.is_none()) {
            self.value(field.kind)?;
        }
        if self.flexible { self.tagged_fields(fields) } else { Ok(()) }
    }

    fn value(&mut self, kind: Kind) -> Result<(), Malformed> {
        match kind {
            Kind::Fixed(size) => self.skip(size),
            Kind::Text => match self.length(2)? {
                Some(length) => self.skip(length),
                None => Ok(()),
            },
            Kind::Blob => match self.length(4)? {
                Some(length) => self.skip(length),
                None => Ok(()),
            },
            Kind::Structs(fields) => self.array(|walk| walk.structure(fields)),
            Kind::Structure(fields) => self.structure(fields),
            Kind::Nullable(fields) => match i8::from_be_bytes(self.take()?) {
                ..0 => Ok(()),
                0.. => self.structure(fields),
            },
            Kind::Plain(element) => self.array(|walk| walk.value(element.kind)),
        }
    }

    fn array(&mut self, element: impl Fn(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        let count = self.length(4)?.unwrap_or(0);
        self.elements = self.elements.saturating_add(count);
        if self.elements > MAX_ELEMENTS {
            return Err("it has too many elements");
        }
        (0..count).try_for_each(|_| element(self))
    }

    fn tagged_fields(&mut self, fields: &[Field]) -> Result<(), Malformed> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            let behind = self.rest.get(size..).ok_or("it is cut off")?;
            // A version that does not have the field is refused by the decoder.
            if let Some(field) = fields.iter().find(|field| field.tag == Some(tag)) {
                self.value(field.kind)?;
                if self.rest.len() != behind.len() {
                    return Err("a tagged field has another size than it says");
                }
            }
            self.rest = behind;
        }
        Ok(())
    }

    /// A length of `width` bytes, or a compact one, which is one higher; `None` is null.
    fn length(&mut self, width: usize) -> Result<Option<usize>, Malformed> {
        if self.flexible {
            return Ok((self.varint()? as usize).checked_sub(1));
        }
        let length = match width {
            2 => i16::from_be_bytes(self.take()?).into(),
            _ => i32::from_be_bytes(self.take()?),
        };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| "a length is negative"),
        }
    }

    fn varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| "a varint is too large");
            }
        }
        Err("a varint is too long")
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or("it is cut off")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn skip(&mut self, size: usize) -> Result<(), Malformed> {
        self.rest = self.rest.get(size..).ok_or("it is cut off")?;
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rand::Rng;
    use rand::rngs::StdRng;

    /// Bytes of this shape: short texts, small arrays.
    pub fn generate(shape: &Shape, version: i16, random: &mut StdRng) -> Vec<u8> {
        let mut out = Vec::new();
        structure(shape.fields, version, version >= shape.flexible, random, &mut out);
        out
    }

    fn structure(fields: &[Field], version: i16, flexible: bool, random: &mut StdRng, out: &mut Vec<u8>) {
        let in_version = |field: &&Field| (field.from..=field.until).contains(&version);
        for field in fields.iter().filter(in_version).filter(|field| field.tag.is_none()) {
            value(field.kind, version, flexible, random, out);
        }
        if flexible {
            tagged_fields(fields, version, random, out);
        }
    }

    /// Some of the tags that any decoder could know, those of the shape among them.
    fn tagged_fields(fields: &[Field], version: i16, random: &mut StdRng, out: &mut Vec<u8>) {
        let mut written = vec![0];
        for tag in 0..4_u8 {
            let known = fields.iter().find(|field| field.tag == Some(tag.into()));
            let absent = known.is_some_and(|field| !(field.from..=field.until).contains(&version));
            if absent || random.random_bool(0.8) {
                continue;
            }
            let mut content = Vec::new();
            match known {
                Some(field) => value(field.kind, version, true, random, &mut content),
                None => content.extend((0..random.random_range(0..4)).map(|_| random.random::<u8>())),
            }
            written[0] += 1;
            written.extend([tag, u8::try_from(content.len()).unwrap()]);
            written.extend(content);
        }
        out.extend(written);
    }

    fn value(kind: Kind, version: i16, flexible: bool, random: &mut StdRng, out: &mut Vec<u8>) {
        let count = random.random_range(0..4_u8);
        let mut length = |width: usize| match flexible {
            true => out.push(count + 1),
            false => {
                out.extend(std::iter::repeat_n(0, width - 1));
                out.push(count);
            }
        };
        match kind {
            Kind::Fixed(size) => out.extend((0..size).map(|_| random.random_range(0..2_u8))),
            Kind::Text | Kind::Blob => {
                length(if matches!(kind, Kind::Text) { 2 } else { 4 });
                out.extend((0..count).map(|_| random.random_range(b'a'..=b'z')));
            }
            Kind::Structs(fields) => {
                length(4);
                (0..count).for_each(|_| structure(fields, version, flexible, random, out));
            }
            Kind::Structure(fields) => structure(fields, version, flexible, random, out),
            Kind::Nullable(fields) => match count {
                0 => out.push(0xff),
                _ => {
                    out.push(1);
                    structure(fields, version, flexible, random, out);
                }
            },
            Kind::Plain(element) => {
                length(4);
                (0..count).for_each(|_| value(element.kind, version, flexible, random, out));
            }
        }
    }

    #[test]
    fn lengths_that_go_beyond_the_bytes_are_found() {
        const SHAPE: Shape = Shape { flexible: 1, fields: &[structs(&[TEXT, plain(&INT32)])] };
        assert_eq!(SHAPE.check(&[0x7f, 0xff, 0xff, 0xff], 0), Err("it has too many elements"));
        assert_eq!(SHAPE.check(&[0, 0, 0xff, 0xff], 0), Err("it is cut off"));
        assert_eq!(SHAPE.check(&[0xff, 0xff, 0xff, 0xff, 0x0f], 1), Err("it has too many elements"));
        assert_eq!(SHAPE.check(&[0xff, 0xff, 0xff, 0xff, 0x7f], 1), Err("a varint is too large"));
        assert_eq!(SHAPE.check(&[0xff, 0xff, 0xff, 0xff], 0), Ok(()), "null");
    }

    #[test]
    fn a_tagged_field_that_is_known_fills_its_size_and_another_may_hold_anything() {
        const SHAPE: Shape = Shape { flexible: 0, fields: &[INT8, structs(&[INT8]).tagged(1)] };
        assert_eq!(SHAPE.check(&[7, 0], 0), Ok(()));
        assert_eq!(SHAPE.check(&[7, 2, 0, 1, 0xff, 1, 3, 2, 9, 0], 0), Ok(()));
        assert_eq!(
            SHAPE.check(&[7, 1, 1, 0, 2, 9, 0], 0),
            Err("a tagged field has another size than it says")
        );
        assert_eq!(
            SHAPE.check(&[7, 1, 1, 4, 2, 9, 0, 0], 0),
            Err("a tagged field has another size than it says")
        );
        assert_eq!(SHAPE.check(&[7, 1, 1, 9, 2], 0), Err("it is cut off"));
    }
}
