// What rungate uploads, read back by GitHub's own clients, which upload the same beside it.
//
//   node artifacts.mjs RUNGATE NODE_MODULES REPOSITORY WORK
//
// The service is the one below, its storage is Azurite; the older service has none beside it. REPOSITORY has a command `c`
// that keeps the artifacts `files` (zip) and `one.bin` (archive: none) of the folder `out`. Everything listens on the loopback
// interface.

import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, readdirSync} from 'node:fs';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {join, relative} from 'node:path';
import {pathToFileURL} from 'node:url';

const [rungate, modules, repository, work] = process.argv.slice(2);
const require = createRequire(join(modules, 'anything.js'));
const load = async path => import(pathToFileURL(join(modules, path)).href);

// The account that every emulator of the storage has; it opens nothing else.
const ACCOUNT = 'devstoreaccount1';
// rungate:allow-secret the emulator's own, printed in its documents
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

const IDS = ['ce7f54c7-61c7-4aae-887f-30da475f5f1a', 'ca395085-040a-526b-2ce8-bdc85f692774'];
const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
const TOKEN = `${part({alg: 'none'})}.${part({scp: `Actions.Results:${IDS.join(':')}`, exp: 4102444800})}.c2ln`;

const requests = [];
const artifacts = new Map();
const older = new Map();
let sas;
let next = 100;

// One call of the results service.
function twirp(method, body) {
  const name = body.name;
  const found = artifacts.get(name);
  switch (method) {
    case 'CreateArtifact':
      if (found) return [409, {code: 'already_exists', msg: 'an artifact with this name already exists on the workflow run'}];
      artifacts.set(name, {id: 0, size: '0', digest: ''});
      return [200, {ok: true, signed_upload_url: sas(name, 'cw')}];
    case 'FinalizeArtifact':
      Object.assign(found, {id: ++next, size: body.size, digest: body.hash});
      return [200, {ok: true, artifact_id: String(found.id)}];
    case 'ListArtifacts': {
      const wanted = ([key, value]) =>
        value.id && (!body.name_filter || key === body.name_filter) && (!body.id_filter || String(value.id) === body.id_filter);
      const list = [...artifacts].filter(wanted).map(([key, value]) => ({
        workflow_run_backend_id: IDS[0],
        workflow_job_run_backend_id: IDS[1],
        database_id: String(value.id),
        name: key,
        size: value.size,
        created_at: '2026-01-01T00:00:00Z',
        digest: value.digest,
      }));
      return [200, {artifacts: list}];
    }
    case 'GetSignedArtifactURL':
      return [200, {signed_url: sas(name, 'r')}];
    default:
      return [404, {code: 'bad_route', msg: method}];
  }
}

// One call of the older service.
function pipelines(request, url, body) {
  const here = `http://127.0.0.1:${server.address().port}`;
  if (request.method === 'POST') {
    older.set(JSON.parse(body).Name, new Map());
    return [201, {fileContainerResourceUrl: `${here}/tenant/container`, name: JSON.parse(body).Name}];
  }
  if (request.method === 'PATCH') return [200, {size: JSON.parse(body).Size}];
  const path = url.searchParams.get('itemPath').replaceAll('\\', '/');
  const [name, ...rest] = path.split('/');
  older.get(name).set(rest.join('/'), {body, headers: request.headers});
  return [201, {}];
}

const server = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces);
  const url = new URL(request.url, 'http://127.0.0.1');
  assert.equal(request.headers.authorization, `Bearer ${TOKEN}`, request.url);
  const method = url.pathname.split('/').at(-1);
  let answer;
  if (url.pathname.startsWith('/twirp/')) {
    const object = JSON.parse(body);
    requests.push({method, body: object, headers: request.headers});
    answer = twirp(method, object);
  } else {
    answer = pipelines(request, url, body);
  }
  response.writeHead(answer[0], {'content-type': 'application/json'}).end(JSON.stringify(answer[1]));
});

// Starts a program, and waits for it or, where it serves, until it is told.
function start(program, args, env, options = {}) {
  const child = spawn(program, args, {env: {PATH: process.env.PATH, HOME: work, ...env}, ...options});
  let said = '';
  child.stdout.on('data', text => (said += text));
  child.stderr.on('data', text => (said += text));
  return {child, ended: new Promise(done => child.on('close', code => done({code, said})))};
}

async function storage() {
  const port = await new Promise(done => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const {port} = probe.address();
      probe.close(() => done(port));
    });
  });
  const program = join(modules, 'azurite/dist/src/blob/main.js');
  const flags = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--inMemoryPersistence', '--disableTelemetry'];
  const {child} = start(process.execPath, [program, ...flags, '--silent', '--skipApiVersionCheck'], {});
  const blob = require('@azure/storage-blob');
  const credential = new blob.StorageSharedKeyCredential(ACCOUNT, KEY);
  const address = `http://127.0.0.1:${port}/${ACCOUNT}`;
  const container = new blob.BlobServiceClient(address, credential, {retryOptions: {maxTries: 20, retryDelayInMs: 250}}).getContainerClient('artifacts');
  await container.create();
  const expiresOn = new Date(Date.now() + 3_600_000);
  sas = (name, permissions) => {
    const blobName = `blob of ${name}`;
    const values = {containerName: 'artifacts', blobName, expiresOn, permissions: blob.BlobSASPermissions.parse(permissions)};
    const query = blob.generateBlobSASQueryParameters(values, credential);
    return `${address}/artifacts/${encodeURIComponent(blobName)}?${query}`;
  };
  return child;
}

const files = folder => readdirSync(folder, {recursive: true, withFileTypes: true})
  .filter(entry => entry.isFile())
  .map(entry => join(entry.parentPath ?? entry.path, entry.name))
  .sort();
const sha256 = path => createHash('sha256').update(readFileSync(path)).digest('hex');

// What a request is, without what differs from run to run.
const shape = ({method, body, headers}) => ({
  method,
  type: headers['content-type'],
  fields: Object.keys(body).sort().map(name => `${name}: ${typeof body[name]}`),
  version: body.version,
  mime_type: body.mime_type,
});

async function current(here, out) {
  const run = start(rungate, ['run', 'c', '--check-run', 'off'], {
    ...job,
    GITHUB_SERVER_URL: 'https://github.com',
    ACTIONS_RESULTS_URL: here,
  }, {cwd: repository});
  const {code, said} = await run.ended;
  assert.equal(code, 0, said);
  assert.ok(!said.includes('sig='), 'a signature is shown');

  Object.assign(process.env, job, {GITHUB_SERVER_URL: 'https://github.com', ACTIONS_RESULTS_URL: here});
  const {DefaultArtifactClient} = await load('@actions/artifact/lib/artifact.js');
  const client = new DefaultArtifactClient();
  const listed = (await client.listArtifacts()).artifacts;
  assert.deepEqual(listed.map(artifact => artifact.name).sort(), ['files', 'one.bin']);
  for (const {id, name, digest} of listed) {
    const path = join(work, 'downloaded', name);
    mkdirSync(path, {recursive: true});
    const {digestMismatch} = await client.downloadArtifact(id, {path, expectedHash: digest});
    assert.equal(digestMismatch, false, `${name} has another digest`);
  }
  const folder = join(work, 'downloaded/files');
  const list = JSON.parse(readFileSync(join(folder, 'manifest.json')));
  const had = files(out).map(path => [relative(out, path), sha256(path)]);
  assert.deepEqual(list.files.map(file => [file.path, file.sha256]), had);
  assert.deepEqual(files(folder).map(path => relative(folder, path)).filter(path => path !== 'manifest.json'), had.map(([path]) => path));
  for (const [path, digest] of had) assert.equal(sha256(join(folder, path)), digest, path);
  console.log(`  the current service: ${listed.length} artifacts, ${had.length} files with their digests`);

  const ours = requests.filter(({body}) => body.name === 'files').map(shape);
  await client.uploadArtifact('theirs', files(out), out, {retentionDays: 2});
  const theirs = requests.filter(({body}) => body.name === 'theirs').map(shape);
  assert.deepEqual(ours.filter(({method}) => method !== 'GetSignedArtifactURL'), theirs);
  await assert.rejects(client.uploadArtifact('files', files(out), out), 'a name is taken once');
  console.log(`  the requests of both clients have one shape: ${theirs.map(({method}) => method).join(', ')}`);
}

async function former(here, out) {
  const variables = {...job, ACTIONS_RUNTIME_URL: `${here}/tenant/`};
  const run = start(rungate, ['run', 'c', '--check-run', 'off'], {
    ...variables,
    GITHUB_SERVER_URL: 'https://git.example.com',
  }, {cwd: repository});
  const {code, said} = await run.ended;
  assert.equal(code, 0, said);
  Object.assign(process.env, variables);
  const client = require('artifact-v3').create();
  const {failedItems} = await client.uploadArtifact('theirs', files(out), out);
  assert.deepEqual(failedItems, []);
  const [ours, theirs] = [older.get('files'), older.get('theirs')];
  let compared = 0;
  for (const [path, {headers}] of theirs) {
    // Their client compresses what becomes smaller by that, so that only what does not can be compared.
    if (headers['content-encoding']) continue;
    for (const name of ['content-range', 'content-type', 'x-actions-results-crc64', 'x-actions-results-md5']) {
      assert.equal(ours.get(path).headers[name], headers[name], `${path}: ${name}`);
    }
    compared += 1;
  }
  assert.ok(compared >= 2, 'nothing could be compared');
  assert.deepEqual([...ours.keys()].filter(path => path !== 'manifest.json').sort(), [...theirs.keys()].sort());
  console.log(`  the older service: ${theirs.size} files, ${compared} with equal ranges and checksums`);
}

const job = {
  GITHUB_ACTIONS: 'true',
  GITHUB_REPOSITORY: 'acme/widgets',
  GITHUB_RUN_ID: '77',
  GITHUB_WORKSPACE: repository,
  GITHUB_RETENTION_DAYS: '30',
  RUNGATE_STATE_DIR: join(work, 'state'),
  ACTIONS_RUNTIME_TOKEN: TOKEN,
};
await new Promise(done => server.listen(0, '127.0.0.1', done));
const here = `http://127.0.0.1:${server.address().port}`;
const azurite = await storage();
try {
  const out = join(repository, 'out');
  await current(here, out);
  await former(here, out);
} finally {
  azurite.kill();
  server.close();
}
process.exit(0);
