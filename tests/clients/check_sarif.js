// Validates SARIF files against the schema of SARIF 2.1.0; prints what is wrong and ends with 1.
const fs = require('fs');
const Ajv = require('ajv');
const schema = require('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json');

const ajv = new Ajv({ schemaId: 'auto', allErrors: true });
ajv.addMetaSchema(require('ajv/lib/refs/json-schema-draft-04.json'));
const validate = ajv.compile(schema);
let wrong = 0;
for (const file of process.argv.slice(2)) {
  const log = JSON.parse(fs.readFileSync(file, 'utf8'));
  if (!validate(log)) {
    wrong += 1;
    console.error(file, JSON.stringify(validate.errors, null, 1));
  }
}
process.exit(wrong ? 1 : 0);
