-- Turns the report's Markdown into what Typst sets: pictures with text alternatives, formulas that can be read aloud,
-- call-outs, tables that break over pages, and appendices with letters.

local LONGEST_WHOLE = 14 -- rows of a table that is not broken over pages

local MANY = 7 -- columns from which on the first one, whose words are the longest, has a width of its own

local function typst(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), "typst-citations"):gsub("%s+$", ""))
end

local function quoted(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"') .. '"'
end

function Span(span)
  if not span.classes:includes("formula") then return nil end
  local formula = span.content[1]
  local block = formula.mathtype == "DisplayMath"
  local written = typst({pandoc.Plain({formula})})
  return pandoc.RawInline(
    "typst",
    string.format("#math.equation(block: %s, alt: %s, %s)", tostring(block), quoted(span.attributes.alt), written)
  )
end

-- Only a formula with a text alternative may stand in a PDF that can be read aloud: what else looks like one is text.
function Math(math)
  local sign = math.mathtype == "DisplayMath" and "$$" or "$"
  return pandoc.Str(sign .. math.text .. sign)
end

function Div(div)
  if div.classes:includes("picture") then
    local picture = string.format("image(%s, alt: %s)", quoted(div.attributes.file), quoted(div.attributes.alt))
    if div.identifier == "" then
      return pandoc.RawBlock("typst", string.format("#align(center, %s)", picture))
    end
    local width = div.identifier:find("-by-", 1, true) and "76%" or "88%"
    picture = picture:gsub("%)$", ", width: " .. width:gsub("%%", "%%%%") .. ")")
    return pandoc.RawBlock(
      "typst", string.format("#figure(%s, caption: [%s]) <%s>", picture, typst(div.content), div.identifier)
    )
  end
  if div.classes:includes("callout") then
    return pandoc.RawBlock(
      "typst", string.format("#callout([%s])[\n%s\n]", pandoc.utils.stringify(div.attributes.title), typst(div.content))
    )
  end
end

local function breakable(str)
  -- A long word, such as what a model wrote without spaces, may break anywhere.
  if utf8.len(str.text) <= 24 then return nil end
  local parts = {}
  for _, code in utf8.codes(str.text) do parts[#parts + 1] = utf8.char(code) end
  return pandoc.Str(table.concat(parts, "\u{200B}"))
end

-- The report's own pictures are named by program; a text that names another file or address shows its words.
function Image(image)
  return pandoc.Span(image.caption)
end

local function unlinked(link)
  return link.content
end

function Table(element)
  element = element:walk({Str = breakable})
  -- A table's head comes again on every page, where PDF/UA takes it for decoration, in which there may be no link.
  for _, row in ipairs(element.head.rows) do
    for _, cell in ipairs(row.cells) do
      cell.contents = cell.contents:walk({Link = unlinked})
    end
  end
  for i, column in ipairs(element.colspecs) do
    local first = i == 1 and #element.colspecs >= MANY
    element.colspecs[i] = {column[1], first and (#element.colspecs < 8 and 0.28 or 0.2) or nil} -- others: as wide as their words
  end
  local written = typst({element}):gsub("^#figure%(%s*align%(center%)%[", ""):gsub("%]%s*, kind: table%s*%)$", "")
  local rows = 0
  for _, body in ipairs(element.bodies) do rows = rows + #body.body end
  if rows <= LONGEST_WHOLE then written = "#block(breakable: false)[\n" .. written .. "\n]" end
  return pandoc.RawBlock("typst", written)
end

-- What introduces a table, a list or code stays on its page; a picture may go to the next one.
local INTRODUCED = {BulletList = true, OrderedList = true, CodeBlock = true}

function Blocks(blocks)
  for i = 1, #blocks - 1 do
    local following = blocks[i + 1]
    local introduced = INTRODUCED[following.t]
      or (following.t == "RawBlock" and following.text:find("#table(", 1, true))
    if blocks[i].t == "Para" and introduced then
      blocks[i] = pandoc.RawBlock("typst", string.format("#block(sticky: true, spacing: 1em)[%s]", typst({blocks[i]})))
    end
  end
  return blocks
end

function Header(header)
  if header.identifier == "appendices" then
    return {pandoc.RawBlock("typst", "#show: appendices"), header}
  end
end

-- Formulas first: their content is no text.
return {
  {Span = Span}, {Math = Math}, {Div = Div, Image = Image, Table = Table, Blocks = Blocks, Header = Header},
}
