//! Metadata of an AGGREGATION module (type 2).
//!
//! A header of two 32-bit offsets for each module, start and end, counted from the beginning of the metadata; then
//! the modules' metadata. A start of zero means "not provided". A module rejects more entries than its threshold.

use alloc::vec::Vec;

/// The metadata of several modules in one; `None` for a module that is not asked.
pub fn encode<T: AsRef<[u8]>>(entries: &[Option<T>]) -> Vec<u8> {
    let mut header = Vec::with_capacity(entries.len() * 8);
    let mut body = Vec::new();
    for entry in entries {
        let (start, end) = match entry {
            Some(metadata) => {
                let start = entries.len() * 8 + body.len();
                body.extend_from_slice(metadata.as_ref());
                (start as u32, (start + metadata.as_ref().len()) as u32)
            }
            None => (0, 0),
        };
        header.extend_from_slice(&start.to_be_bytes());
        header.extend_from_slice(&end.to_be_bytes());
    }
    header.extend_from_slice(&body);
    header
}

/// The metadata of the module at `index`; nothing when it is not provided or lies outside the bytes.
pub fn entry(metadata: &[u8], index: usize) -> Option<&[u8]> {
    let range: &[u8; 8] = metadata.get(index * 8..index * 8 + 8)?.try_into().ok()?;
    let [s0, s1, s2, s3, e0, e1, e2, e3] = *range;
    let start = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    let end = u32::from_be_bytes([e0, e1, e2, e3]) as usize;
    if start == 0 { None } else { metadata.get(start..end) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_module_finds_its_own_part(entries: Vec<Option<Vec<u8>>>) {
            let metadata = encode(&entries);
            for (index, expected) in entries.iter().enumerate() {
                prop_assert_eq!(entry(&metadata, index), expected.as_deref());
            }
        }

        #[test]
        fn hostile_bytes_never_panic(metadata: Vec<u8>, index in 0_usize..300) {
            let _ = entry(&metadata, index);
        }
    }
}
