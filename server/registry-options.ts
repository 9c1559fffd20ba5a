import type { RegistryOptions } from '../storage/local-registry.ts'
import type { Settings } from './config.ts'

/** A registry as the settings have it at each moment. */
export function registryOptions(registryId: string, settings: () => Settings): RegistryOptions {
  return {
    registryId,
    sparse: () => settings().sparse,
    uploadLimits() {
      const { uploadsPerUser, uploadTtlMs } = settings().limits
      return { perOwner: uploadsPerUser, ttlMs: uploadTtlMs }
    },
  }
}
