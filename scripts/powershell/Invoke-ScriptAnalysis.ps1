#!/usr/bin/env pwsh
<#
.SYNOPSIS
Runs PSScriptAnalyzer and writes what it finds in a form that machines read whole.

.DESCRIPTION
PSScriptAnalyzer's table is cut at the width of the terminal, so it is no report. This script writes workflow commands
(which rungate and GitHub read), JSON, or lines for people, each record whole.

Exit codes: 0 nothing found, 1 findings of level Error, ParseError or Warning, 2 wrong usage or no module.

.PARAMETER Path
Files or folders; folders with everything below them. Default: the current folder.

.PARAMETER Settings
A settings file of PSScriptAnalyzer, or the name of one of its presets.

.PARAMETER Severity
Only these levels.

.PARAMETER Format
commands: workflow commands. json: one array of records. text: lines for people.

.PARAMETER OutFile
Writes there instead of to the output.

.EXAMPLE
./Invoke-ScriptAnalysis.ps1 -Path scripts -Settings ./PSScriptAnalyzerSettings.psd1

.EXAMPLE
./Invoke-ScriptAnalysis.ps1 -Format json -OutFile build/pssa.json
#>
[CmdletBinding()]
param(
    [string[]] $Path = @('.'),

    [string] $Settings = '',

    [ValidateSet('Error', 'Warning', 'Information', 'ParseError')]
    [string[]] $Severity = @(),

    [ValidateSet('commands', 'json', 'text')]
    [string] $Format = 'commands',

    [string] $OutFile = ''
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$Top = (Get-Location).ProviderPath

function Stop-Usage {
    param([string] $Message)

    [Console]::Error.WriteLine('Invoke-ScriptAnalysis: ' + $Message)
    exit 2
}

function ConvertTo-CommandData {
    param([string] $Text)

    return $Text.Replace('%', '%25').Replace("`r", '%0D').Replace("`n", '%0A')
}

function ConvertTo-CommandProperty {
    param([string] $Text)

    return (ConvertTo-CommandData -Text $Text).Replace(':', '%3A').Replace(',', '%2C')
}

# A record with plain values, so that every version of PSScriptAnalyzer gives the same JSON. A finding about a whole
# file has no extent.
function ConvertTo-Record {
    param([object] $Diagnostic)

    $extent = $Diagnostic.Extent
    $file = $Diagnostic.ScriptPath
    if (-not [string]::IsNullOrEmpty($file)) {
        $file = [System.IO.Path]::GetRelativePath($Top, $file).Replace('\', '/')
    }
    return [ordered] @{
        RuleName   = [string] $Diagnostic.RuleName
        Severity   = [string] $Diagnostic.Severity
        Message    = [string] $Diagnostic.Message
        ScriptPath = [string] $file
        Line       = if ($null -eq $extent) { $null } else { [int] $extent.StartLineNumber }
        Column     = if ($null -eq $extent) { $null } else { [int] $extent.StartColumnNumber }
        EndLine    = if ($null -eq $extent) { $null } else { [int] $extent.EndLineNumber }
        EndColumn  = if ($null -eq $extent) { $null } else { [int] $extent.EndColumnNumber }
    }
}

function Get-Level {
    param([string] $Name)

    switch ($Name) {
        'Error' { return 'error' }
        'ParseError' { return 'error' }
        'Warning' { return 'warning' }
        default { return 'notice' }
    }
}

function Format-Command {
    param([System.Collections.IDictionary] $Record)

    $properties = [System.Collections.Generic.List[string]]::new()
    if ($Record.ScriptPath -ne '') {
        $properties.Add('file=' + (ConvertTo-CommandProperty -Text $Record.ScriptPath))
    }
    if ($null -ne $Record.Line) {
        $properties.Add('line=' + $Record.Line)
        $properties.Add('col=' + $Record.Column)
        $properties.Add('endLine=' + $Record.EndLine)
        $properties.Add('endColumn=' + $Record.EndColumn)
    }
    $properties.Add('title=' + (ConvertTo-CommandProperty -Text $Record.RuleName))
    $level = Get-Level -Name $Record.Severity
    return '::' + $level + ' ' + ($properties -join ',') + '::' + (ConvertTo-CommandData -Text $Record.Message)
}

function Format-Line {
    param([System.Collections.IDictionary] $Record)

    $level = Get-Level -Name $Record.Severity
    $text = '{0}:{1}:{2}: {3}: {4} [{5}]' -f @(
        $Record.ScriptPath, $Record.Line, $Record.Column, $level, $Record.Message, $Record.RuleName
    )
    return $text -replace '[\x00-\x1f\x7f]', ' '
}

function Invoke-Analysis {
    $options = @{ Recurse = $true }
    if ($Settings -ne '') {
        $options.Settings = $Settings
    }
    if ($Severity.Count -gt 0) {
        $options.Severity = $Severity
    }
    foreach ($place in $Path) {
        $name = $place
        if ($name.StartsWith('-')) {
            $name = './' + $name
        }
        if (-not (Test-Path -LiteralPath $name)) {
            Stop-Usage -Message "no file or folder '$place'"
        }
        foreach ($diagnostic in Invoke-ScriptAnalyzer -Path $name @options) {
            ConvertTo-Record -Diagnostic $diagnostic
        }
    }
}

if ($null -eq (Get-Module -ListAvailable -Name PSScriptAnalyzer)) {
    Stop-Usage -Message (
        'the module PSScriptAnalyzer is missing. ' +
        'Install it on the host: Install-Module -Name PSScriptAnalyzer -Scope AllUsers'
    )
}
Import-Module -Name PSScriptAnalyzer

if ($Settings -ne '' -and $Settings -match '[\\/.]' -and -not (Test-Path -LiteralPath $Settings -PathType Leaf)) {
    Stop-Usage -Message "no settings file '$Settings'"
}

$records = @(Invoke-Analysis)
if ($Format -eq 'json') {
    # -InputObject, because the pipeline would take an array of one record apart.
    $text = ConvertTo-Json -InputObject $records -Depth 4
}
elseif ($Format -eq 'commands') {
    $text = @($records | ForEach-Object { Format-Command -Record $_ }) -join "`n"
}
else {
    $text = @($records | ForEach-Object { Format-Line -Record $_ }) -join "`n"
}

if ($OutFile -ne '') {
    $encoding = [System.Text.UTF8Encoding]::new($false)
    [System.IO.File]::WriteAllText([System.IO.Path]::GetFullPath($OutFile, $Top), $text + "`n", $encoding)
}
elseif ($text -ne '') {
    [Console]::Out.WriteLine($text)
}

$failing = @($records | Where-Object { (Get-Level -Name $_.Severity) -ne 'notice' }).Count
[Console]::Error.WriteLine("Invoke-ScriptAnalysis: $($records.Count) findings")
if ($failing -gt 0) {
    exit 1
}
exit 0
