/** Media types of manifests, as the OCI image specification and Docker's image manifest schema 2 name them. */
export const ociImage = 'application/vnd.oci.image.manifest.v1+json'
export const ociIndex = 'application/vnd.oci.image.index.v1+json'
const dockerImage = 'application/vnd.docker.distribution.manifest.v2+json'
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json'

const kinds: ReadonlyMap<string, 'image' | 'index'> = new Map([
  [ociImage, 'image'],
  [ociIndex, 'index'],
  [dockerImage, 'image'],
  [dockerList, 'index'],
])

/** Every media type that says it is a manifest's. */
export const manifestTypes: readonly string[] = [...kinds.keys()]

/** What a known media type promises about the body. */
export const kindOf = (mediaType: string) => kinds.get(mediaType)

/** Some other manifest in JSON: what its shape says. Never one that a browser would run. */
export const isJsonType = (mediaType: string) =>
  /^application\/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}\+json$/i.test(mediaType)

/** Docker's first manifest format, which no client has pushed for years. */
export const isDockerSchema1 = (mediaType: string) =>
  mediaType.startsWith('application/vnd.docker.distribution.manifest.v1+')

/** Layers that may be fetched only from where they say (Docker: foreign; OCI: non-distributable). */
export const isNondistributable = (mediaType: string) =>
  mediaType.includes('.nondistributable.') ||
  mediaType.startsWith('application/vnd.docker.image.rootfs.foreign.')
