#!/usr/bin/env pwsh
<#
.SYNOPSIS
Finds syntax errors in PowerShell files.

.DESCRIPTION
Parses every .ps1, .psm1 and .psd1 file with PowerShell's own parser and executes none of them. Each error becomes a
workflow command, which rungate and GitHub read.

Without -Path it reads the files that $RUNGATE_FILES lists (NUL-separated), else everything below the current folder.
Symlinks are not followed; .git, .rungate, .venv, node_modules and target are left out.

Exit codes: 0 nothing found, 1 findings, 2 wrong usage.

.PARAMETER Path
Files or folders.

.PARAMETER Format
commands: workflow commands. text: lines for people.

.EXAMPLE
./Test-PowerShellSyntax.ps1

.EXAMPLE
./Test-PowerShellSyntax.ps1 -Path tools, build.ps1 -Format text
#>
[CmdletBinding()]
param(
    [string[]] $Path = @(),

    [ValidateSet('commands', 'text')]
    [string] $Format = 'commands'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$SkippedFolders = @('.git', '.rungate', '.venv', 'node_modules', 'target')
$Extensions = @('.ps1', '.psm1', '.psd1')
$Top = (Get-Location).ProviderPath

function Get-RelativeName {
    param([string] $FullName)

    return [System.IO.Path]::GetRelativePath($Top, $FullName).Replace('\', '/')
}

function ConvertTo-CommandData {
    param([string] $Text)

    return $Text.Replace('%', '%25').Replace("`r", '%0D').Replace("`n", '%0A')
}

function ConvertTo-CommandProperty {
    param([string] $Text)

    return (ConvertTo-CommandData -Text $Text).Replace(':', '%3A').Replace(',', '%2C')
}

function Write-Finding {
    param([string] $File, [int] $Line, [int] $Column, [string] $Rule, [string] $Message)

    if ($Format -eq 'commands') {
        $place = 'file={0},line={1},col={2},title={3}' -f @(
            (ConvertTo-CommandProperty -Text $File), $Line, $Column, (ConvertTo-CommandProperty -Text $Rule)
        )
        [Console]::Out.WriteLine('::error ' + $place + '::' + (ConvertTo-CommandData -Text $Message))
    }
    else {
        $text = '{0}:{1}:{2}: error: {3} [{4}]' -f $File, $Line, $Column, $Message, $Rule
        [Console]::Out.WriteLine(($text -replace '[\x00-\x1f\x7f]', ' '))
    }
}

# Files below a folder. A stack of folders, because -Recurse follows nothing but cannot leave folders out.
function Get-FileBelow {
    param([string] $Folder)

    $pending = [System.Collections.Generic.Stack[string]]::new()
    $pending.Push($Folder)
    while ($pending.Count -gt 0) {
        $entries = Get-ChildItem -LiteralPath $pending.Pop() -Force | Sort-Object -Property Name
        foreach ($entry in $entries) {
            if ($null -ne $entry.LinkType) {
                continue
            }
            if (-not $entry.PSIsContainer) {
                $entry.FullName
            }
            elseif ($SkippedFolders -notcontains $entry.Name) {
                $pending.Push($entry.FullName)
            }
        }
    }
}

function Get-ListedFile {
    param([string] $List)

    $names = [System.IO.File]::ReadAllText($List).Split([char] 0)
    foreach ($name in $names) {
        if ($name -eq '') {
            continue
        }
        $full = [System.IO.Path]::GetFullPath($name, $Top)
        $relative = Get-RelativeName -FullName $full
        if ([System.IO.Path]::IsPathRooted($name) -or $relative -eq '..' -or $relative.StartsWith('../')) {
            throw [System.ArgumentException]::new("RUNGATE_FILES names '$name', which is not in this folder")
        }
        if (Test-Path -LiteralPath $full -PathType Leaf) {
            $full
        }
    }
}

function Get-FileToCheck {
    $list = [System.Environment]::GetEnvironmentVariable('RUNGATE_FILES')
    if ($Path.Count -eq 0 -and -not [string]::IsNullOrEmpty($list)) {
        Get-ListedFile -List $list
        return
    }
    $places = $Path
    if ($places.Count -eq 0) {
        $places = @('.')
    }
    foreach ($place in $places) {
        $full = [System.IO.Path]::GetFullPath($place, $Top)
        if (Test-Path -LiteralPath $full -PathType Container) {
            Get-FileBelow -Folder $full
        }
        elseif (Test-Path -LiteralPath $full -PathType Leaf) {
            $full
        }
        else {
            throw [System.ArgumentException]::new("no file or folder '$place'")
        }
    }
}

function Test-OneFile {
    param([string] $FullName)

    $name = Get-RelativeName -FullName $FullName
    $tokens = $null
    $parseErrors = $null
    try {
        $null = [System.Management.Automation.Language.Parser]::ParseFile(
            $FullName, [ref] $tokens, [ref] $parseErrors
        )
    }
    catch {
        Write-Finding -File $name -Line 1 -Column 1 -Rule 'unreadable' -Message $_.Exception.Message
        return 1
    }
    foreach ($parseError in $parseErrors) {
        $start = $parseError.Extent
        Write-Finding -File $name -Line $start.StartLineNumber -Column $start.StartColumnNumber `
            -Rule $parseError.ErrorId -Message $parseError.Message
    }
    return @($parseErrors).Count
}

try {
    $files = @(Get-FileToCheck | Where-Object { $Extensions -contains [System.IO.Path]::GetExtension($_) })
}
catch [System.ArgumentException], [System.IO.IOException], [System.UnauthorizedAccessException] {
    [Console]::Error.WriteLine('Test-PowerShellSyntax: ' + $_.Exception.Message)
    exit 2
}

$count = 0
foreach ($file in $files) {
    $count += Test-OneFile -FullName $file
}
[Console]::Error.WriteLine("Test-PowerShellSyntax: $($files.Count) files, $count findings")
if ($count -gt 0) {
    exit 1
}
exit 0
