"""Function words: what a question is made of besides what it asks about.

A retriever returns passages that share the question's content words, so among them "which" can look rare and the
subject common. Document frequency in the pool cannot tell; a table can. Languages that are not in it are read by
frequency alone.
"""

from __future__ import annotations

from ragthrift.text.lexical import stem, words

_ENGLISH = """
a about above after again all also am an and any are as at be because been before being below between both but by
can could did do does doing down during each either else ever few for from further give given gives had has have
having he her here hers him himself his how i if in into is it its itself just let lets like may me might mine more
most much must my name named near neither no nor not now of off often on once one only or other our ours out over
own per please same shall she should show so some such tell than that the their theirs them then there these they
this those through to too under until up upon us use used using very was we were what when where whether which while
who whom whose why will with within without would yet you your yours
"""
_GERMAN = """
aber alle als am an auch auf aus bei beim bin bis bist da damit dann das dass dein dem den der des die dies diese
diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es euch für gegen hat hatte haben
hier ich ihm ihn ihr ihre im in ist ja jede jeder jedes kann können man mein mit muss müssen nach nicht noch nun nur
ob oder ohne sein seine sich sie sind so soll sollte über um und uns unter vom von vor wann war waren warum was
wegen welche welchem welchen welcher welches wem wen wenn wer werden wessen wie wieviel wird wo wohin würde zu zum
zur zwischen
"""
_ROMANCE = """
à au aux avec ce ces cet cette combien comme comment dans de des du elle elles en est et été être il ils je la le
les leur lors lui ma mais me mes mon ne nos notre nous ont ou où par pas pour pourquoi qu quand que quel quelle
quelles quels qui quoi sa sans ses si son sont sur ta tes ton tu un une vos votre vous y al algo ante cada como cómo
con cual cuál cuales cuáles cuando cuándo cuanta cuánta cuantas cuántas cuanto cuánto cuantos cuántos del desde
donde dónde el él ella ellas ellos entre era es esa ese eso esta está están este esto fue ha hay hasta las lo los
más mi muy no nos o para pero por porque qué quien quién quienes se según ser sin sobre su sus también tiene un una
unas unos ya yo a ao aos as com da das dela dele do dos e ela ele eles em essa esse esta este eu foi isso isto mas
mais meu na nas no nos num numa onde os ou pela pelo por qual quais quantas quanto quantos quem são se sem seu sua
também tem uma che chi ci con cosa cui da dal dalla degli dei del della delle di dove e ed era gli ha hanno i il in
io la le lei loro lui ma nei nel nella non nostro o per perché più quale quali quando quanta quante quanti quanto
quella quello questa questo sei si sono su sua sul sulla suo tra un una uno
"""
_DUTCH = """
aan als bij dat de den der deze die dit door dus een en er ge geen had heeft het hij hoe hoeveel iets ik in is je
kan kon maar me met mijn naar niet nog of om onder ons ook op over te tot uit van veel voor waar wanneer waren was
wat welk welke werd wie wij wordt zal ze zich zij zijn zo zou
"""

FUNCTION_WORDS = frozenset(map(stem, words(" ".join((_ENGLISH, _GERMAN, _ROMANCE, _DUTCH)))))
"""The stems of function words of English, German, French, Spanish, Portuguese, Italian and Dutch."""
