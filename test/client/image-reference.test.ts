import { expect, it } from 'vitest'
import { formatImage, parseHost, parseImageReference, referenceOf } from '../../client/image-reference.ts'

const sha = `sha256:${'a'.repeat(64)}`

it.for<[text: string, host: string, name: string, tag: string | undefined, digest: string | undefined]>([
  ['localhost:5000/team/app:1', 'localhost:5000', 'team/app', '1', undefined],
  ['localhost/app', 'localhost', 'app', undefined, undefined],
  ['Reg.Acme.Dev/app:V1', 'reg.acme.dev', 'app', 'V1', undefined],
  ['127.0.0.1:5000/a/b/c', '127.0.0.1:5000', 'a/b/c', undefined, undefined],
  ['[::1]:5000/app:1', '[::1]:5000', 'app', '1', undefined],
  [`reg.acme.dev/app@${sha}`, 'reg.acme.dev', 'app', undefined, sha],
  [`reg.acme.dev:80/app:1@${sha}`, 'reg.acme.dev:80', 'app', '1', sha],
  ['docker.io/alpine:3', 'docker.io', 'library/alpine', '3', undefined],
  ['index.docker.io/grafana/loki', 'docker.io', 'grafana/loki', undefined, undefined],
])('reads %s', ([text, host, name, tag, digest]) => {
  expect(parseImageReference(text)).toEqual({ host, name, tag, digest })
})

it.for<[text: string, why: RegExp]>([
  ['', /is not complete/],
  ['alpine', /is not complete/],
  ['localhost:5000', /is not complete/],
  ['library/alpine', /"library" is no registry/],
  ['-x.y/app', /is no registry/],
  ['user@reg.acme.dev/app', /invalid digest/],
  ['https://reg.acme.dev/app', /is no registry/],
  ['reg.acme.dev:99999/app', /is no registry/],
  ['reg.acme.dev/App', /invalid repository name/],
  ['reg.acme.dev/app/../x', /invalid repository name/],
  ['reg.acme.dev/app:', /invalid tag/],
  ['reg.acme.dev/app:a b', /invalid tag/],
  ['reg.acme.dev/app@sha256:12', /invalid digest/],
])('refuses %j', ([text, why]) => {
  expect(() => parseImageReference(text)).toThrow(why)
})

it.for(['registry', 'a/b', 'a.b/', 'a.b?x', 'a b.c', ''])('refuses %j as a host', text => {
  expect(() => parseHost(text)).toThrow(/is no registry/)
})

it('asks for the digest before the tag, and for latest where there is neither', () => {
  const references = [`a.b/c:1@${sha}`, 'a.b/c:1', 'a.b/c'].map(parseImageReference)

  expect(references.map(each => formatImage(each, referenceOf(each)))).toEqual([
    `a.b/c@${sha}`,
    'a.b/c:1',
    'a.b/c:latest',
  ])
})
