/** The commands that ask any registry, through the API. */
import { type Command, command } from './command.ts'
import { clientOptions, jsonOption } from './options.ts'

type Print = (text: string) => void

export const imageCommands = (print: Print) =>
  ({
    ls: command({
      summary: 'list the repositories of a registry',
      details: ['With a PREFIX only that repository and those below it.'],
      options: { ...clientOptions, json: jsonOption },
      operands: ['HOST[/PREFIX]'],
      example: 'slipway ls localhost:5000/team',
      run: async (flags, [where = '']) => {
        const { listRepositories } = await import('./listings.ts')
        return listRepositories(where, flags, print)
      },
    }),
    tags: command({
      summary: 'list the tags of a repository',
      options: { ...clientOptions, json: jsonOption },
      operands: ['HOST/NAME'],
      example: 'slipway tags localhost:5000/team/app',
      run: async (flags, [where = '']) => {
        const { listTags } = await import('./listings.ts')
        return listTags(where, flags, print)
      },
    }),
    inspect: command({
      summary: 'say what an image is made of',
      details: ['REF is HOST/NAME with a :TAG or a @DIGEST; without either it means the tag latest.'],
      options: {
        ...clientOptions,
        json: jsonOption,
        raw: { type: 'boolean', does: 'print the manifest, byte for byte' },
      },
      operands: ['REF'],
      example: 'slipway inspect localhost:5000/team/app:1',
      run: async (flags, [reference = '']) => {
        const { inspect } = await import('./inspect.ts')
        return inspect(reference, flags, print)
      },
    }),
    tag: command({
      summary: 'give an image more tags in its repository',
      details: [
        'No layer moves. Prints the digest. A NEWTAG may be a whole reference too, in the same repository.',
      ],
      options: clientOptions,
      operands: ['REF', 'NEWTAG…'],
      example: 'slipway tag localhost:5000/team/app:1.4.2 1.4 latest',
      run: async (flags, [reference = '', ...tags]) => {
        const { tag } = await import('./tag.ts')
        return tag(reference, tags, flags, print)
      },
    }),
    rm: command({
      summary: 'remove tags, or images with all their tags',
      details: ['HOST/NAME:TAG removes that tag; HOST/NAME@DIGEST removes the image and every tag on it.'],
      options: clientOptions,
      operands: ['REF…'],
      example: 'slipway rm localhost:5000/team/app:old',
      run: async (flags, references) => {
        const { remove } = await import('./remove.ts')
        return remove(references, flags, print)
      },
    }),
    copy: command({
      summary: 'copy an image from one repository to another',
      details: [
        'Copies all platforms, byte for byte, and prints the digest. DST without a tag gets that of SRC.',
        'Layers that may be had from their makers only stay where they are.',
      ],
      options: {
        ...clientOptions,
        'plain-http': { type: 'boolean', does: 'no TLS to either; on this machine none is expected anyway' },
        'src-plain-http': { type: 'boolean', does: 'no TLS to the registry of SRC' },
        'dst-plain-http': { type: 'boolean', does: 'no TLS to the registry of DST' },
        tls: { type: 'boolean', does: 'TLS to both, on this machine too' },
        'src-tls': { type: 'boolean', does: 'TLS to the registry of SRC' },
        'dst-tls': { type: 'boolean', does: 'TLS to the registry of DST' },
        platform: { type: 'string', value: 'OS/ARCH[/VARIANT]', does: 'copy the image of one platform only' },
      },
      operands: ['SRC', 'DST'],
      example: 'slipway copy docker.io/library/alpine:3 localhost:5000/mirror/alpine',
      run: async (flags, [from = '', to = '']) => {
        const { copy } = await import('./copy.ts')
        return copy(from, to, flags, print)
      },
    }),
  }) as const satisfies Readonly<Record<string, Command>>
