//! CRC-32 as zlib's and PNG's, of polynomial 0xEDB88320: against damage to a file, not against people. It must not
//! know what is summed.

/// Bytes that come in parts.
pub struct Crc32(u32);

/// What eight bits make of a remainder.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut rest, mut bit) = (byte as u32, 0);
        while bit < 8 {
            rest = if rest & 1 == 1 { 0xedb8_8320 ^ (rest >> 1) } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

impl Crc32 {
    /// Of no bytes.
    pub fn new() -> Self {
        Self(!0)
    }

    /// With more bytes behind those before.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |rest, byte| TABLE[(rest as u8 ^ byte) as usize] ^ (rest >> 8));
    }

    /// Of all of them.
    pub fn sum(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Crc32;

    #[test]
    fn the_sum_that_is_written_down_everywhere() {
        let mut crc = Crc32::new();
        assert_eq!(crc.sum(), 0);
        crc.add(b"1234");
        crc.add(b"56789");
        assert_eq!(crc.sum(), 0xcbf4_3926);
    }
}
