import { describeBucketRegistry } from '../contract/bucket-registry.ts'

describeBucketRegistry('versitygw')
