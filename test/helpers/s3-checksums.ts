/** Checksums as S3 has them in headers: base64 of their bytes, the highest first. */
import { crc32 } from 'node:zlib'

export const s3Checksums = {
  crc32(bytes: Buffer): string {
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(bytes))
    return sum.toString('base64')
  },
  crc64nvme(bytes: Buffer): string {
    let [high, low] = [0xffffffff, 0xffffffff]
    for (const byte of bytes) {
      const at = (low ^ byte) & 0xff
      low = ((low >>> 8) | (high << 24)) ^ (lows[at] ?? 0)
      high = (high >>> 8) ^ (highs[at] ?? 0)
    }
    const sum = Buffer.alloc(8)
    sum.writeUInt32BE(~high >>> 0)
    sum.writeUInt32BE(~low >>> 0, 4)
    return sum.toString('base64')
  },
}

/** What each byte adds to a CRC-64/NVME, in halves. */
const table = Array.from({ length: 256 }, (_, byte) => {
  let sum = BigInt(byte)
  for (let bit = 0; bit < 8; bit += 1) sum = sum & 1n ? (sum >> 1n) ^ 0x9a6c9329ac4bc9b5n : sum >> 1n
  return sum
})
const highs = Int32Array.from(table, sum => Number(BigInt.asIntN(32, sum >> 32n)))
const lows = Int32Array.from(table, sum => Number(BigInt.asIntN(32, sum)))
