const blockBuffer = 512

/** A tar archive (POSIX ustar) of regular files, the same bytes for the same files. */
export function tar(files: Readonly<Record<string, Buffer>>): Buffer {
  const entries = Object.entries(files).flatMap(([name, content]) => [
    header(name, content.length),
    content,
    Buffer.alloc(-content.length & (blockBuffer - 1)),
  ])
  return Buffer.concat([...entries, Buffer.alloc(2 * blockBuffer)])
}

function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(blockBuffer)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  block.write(name, 0, 100)
  block.write(octal(0o755, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(size, 11), 124)
  block.write(octal(0, 11), 136)
  // The checksum counts its own field as spaces.
  block.fill(' ', 148, 156)
  block.write('0ustar\u000000', 156)
  const checksum = block.reduce((sum, byte) => sum + byte, 0)
  block.write(`${octal(checksum, 6)}\0 `, 148)
  return block
}
