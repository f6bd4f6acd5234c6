// The package as installed from the tarball.

import { after } from 'node:test'
import { bundles } from './bundles.ts'
import { contents } from './contents.ts'
import { hosts } from './hosts.ts'
import { hover } from './hover.ts'
import { notebookRuns } from './notebooks.ts'
import { oneFile } from './one-file.ts'
import { installedProject } from './project.ts'
import { recipes } from './recipes.ts'
import { types } from './types.ts'

const project = await installedProject()
after(() => project.remove())

contents(project)
hosts(project)
types(project)
hover(project)
oneFile(project)
recipes(project)
notebookRuns(project)
bundles(project)
