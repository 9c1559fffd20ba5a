/** One of the processes that serve. Its parent (family.ts) says with what, and when to stop. */
import cluster from 'node:cluster'
import { startFileSender } from '../kernel/sender.ts'
import { joinFolder } from '../storage/open.ts'
import type { Settings } from './config.ts'
import { startServer } from './main.ts'
import { jsonLog } from './observe.ts'

export type FromParent =
  | { readonly kind: 'start' | 'settings'; readonly settings: Settings }
  | { readonly kind: 'stop'; readonly boundMs: number }

export type FromWorker =
  | { readonly kind: 'listening'; readonly addresses: readonly string[] }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'stopped'; readonly unfinished: number }
