import { type GetJob, runGet } from './client-get.ts'
import { type PushJob, runPush } from './client-push.ts'
import { runTags, type TagsJob } from './client-tags.ts'

/** The program that makes one load: takes a job as its argument, prints the report as JSON. */
export type Job = GetJob | PushJob | TagsJob

// Written by runClient alone, from a value of this type.
const job = JSON.parse(process.argv[2] ?? '') as Job

async function run() {
  switch (job.kind) {
    case 'get':
      return await runGet(job)
    case 'push':
      return await runPush(job)
    case 'tags':
      return await runTags(job)
  }
}

console.log(JSON.stringify(await run()))
